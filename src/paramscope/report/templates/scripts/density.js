// Density at any threshold: the slider moves lines, heat map and words. The bands belong to the run's own threshold.
for (const figure of all(".density")) {
  const { thresholds, layers, values } = numbers.density;
  const slider = figure.querySelector("input");
  const told = figure.querySelector("output");
  const start = Number(slider.value);
  const gap = 17;

  // Labels keep a distance and stay inside: pushed down from the top, then up from the bottom.
  const spread = (wanted, low, high) => {
    const order = wanted.map((at, place) => [at, place]).sort((one, other) => one[0] - other[0]);
    const room = Math.min(gap, (high - low) / Math.max(1, order.length - 1));
    let edge = low;
    for (const each of order) edge = (each[0] = Math.max(each[0], edge)) + room;
    edge = high;
    for (const each of order.reverse()) edge = (each[0] = Math.min(each[0], edge)) - room;
    return order.reduce((placed, [at, place]) => ((placed[place] = at), placed), []);
  };

  const draw = (chart, shown) => {
    const [left, right, bottom, top] = chart.dataset.plot.split(" ").map(Number);
    const x = (layer) => left + (layers > 1 ? ((right - left) * layer) / (layers - 1) : 0);
    const y = (value) => bottom + ((top - bottom) * value) / 1000;
    const lines = all(".series", chart);
    const ends = spread(lines.map((_, place) => y(shown[(place + 1) * layers - 1])), top + 2, bottom - 4);
    for (const [place, line] of lines.entries()) {
      const own = shown.slice(place * layers, (place + 1) * layers);
      const points = own.map((value, layer) => `${x(layer).toFixed(1)} ${y(value).toFixed(1)}`);
      line.querySelector(".line")?.setAttribute("d", `M${points.join("L")}`);
      for (const marker of all(".marker", line)) {
        const at = Number(/-?[\d.]+/.exec(marker.getAttribute("transform"))[0]);
        // The last marker of a line stands beside its label, right of the plot.
        const layer = layers > 1 ? Math.round(((at - left) / (right - left)) * (layers - 1)) : 0;
        const height = at > right + 1 ? ends[place] : y(own[layer]);
        marker.setAttribute("transform", `translate(${at} ${height.toFixed(1)})`);
      }
      const leader = line.querySelector(".leader");
      const [from, to, last] = leader.getAttribute("d").match(/[ML][\d.]+/g);
      const height = y(own[layers - 1]).toFixed(1);
      leader.setAttribute("d", `${from} ${height}${to} ${height}${last} ${ends[place].toFixed(1)}`);
      line.querySelector(".label").setAttribute("y", ends[place] + 4.5);
    }
  };

  const show = () => {
    const stop = Number(slider.value);
    const shown = unpack(values[stop]);
    const low = tenths(Math.min(...shown));
    const high = tenths(Math.max(...shown));
    told.textContent = fill(told.dataset.words, { threshold: thresholds[stop], low, high });
    slider.setAttribute("aria-valuetext", thresholds[stop]);
    figure.classList.toggle("moved", stop !== start);
    for (const chart of all("svg", figure)) draw(chart, shown);
    paint(figure.querySelector("table"), shown, layers, 1000);
  };

  for (const mark of all(".stop", figure)) {
    mark.style.setProperty("--at", `${(100 * Number(mark.dataset.stop)) / (thresholds.length - 1)}%`);
    mark.addEventListener("click", () => {
      slider.value = mark.dataset.stop;
      show();
    });
  }
  slider.setAttribute("aria-valuetext", thresholds[start]);
  slider.addEventListener("input", show);
  for (const hidden of all("[hidden]", figure)) hidden.hidden = false;
}
