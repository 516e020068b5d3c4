// Heat maps of modules and heads: which measure, and of which domain.
for (const figure of all(".map")) {
  const { layers, tops, values } = numbers.maps[figure.dataset.map];
  const [measure, domain] = ["measure", "domain"].map((name) => figure.querySelector(`select.${name}`));
  const show = () => {
    const chosen = Number(measure?.value ?? 0);
    paint(figure.querySelector("table"), unpack(values[chosen][Number(domain?.value ?? 0)]), layers, tops[chosen]);
  };
  for (const select of [measure, domain]) {
    select?.addEventListener("change", show);
  }
  for (const hidden of all("[hidden]", figure)) hidden.hidden = false;
}
