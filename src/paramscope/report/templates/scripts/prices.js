// Prices of the ways to share: edited on the page, results follow as `paramscope share --prices` would give them.
if (numbers.invest) {
  const invest = numbers.invest;
  const untuned = Object.keys(invest.ways)[0];
  const prices = { ...invest.prices };
  let value = invest.value;

  const functions = {
    "+": (one, other) => one + other,
    "-": (one, other) => one - other,
    "*": (one, other) => one * other,
    "/": (one, other) => one / other,
    ceil: Math.ceil,
    max: Math.max,
  };

  const reckon = (tree, figures) => {
    if (typeof tree === "number") return tree;
    const [kind, ...rest] = tree;
    if (kind === "price") return prices[rest[0]];
    if (kind === "figure") return figures[rest[0]];
    return functions[kind](...rest.map((part) => reckon(part, figures)));
  };

  const figuresOf = (way) => {
    const figures = {};
    for (const [name, tree] of way.figures) figures[name] = reckon(tree, figures);
    return figures;
  };

  // As actions/sharing/breakeven.py has it; null is never.
  const breakEven = (way, figures, reference) => {
    const once = figures["money once"] - reference["money once"];
    const month = figures["money per month"] - reference["money per month"];
    const perRequest = (once / prices.horizon_months + month) / prices.requests_per_month;
    const found = { once, month, perRequest, needed: value === null ? null : perRequest / value };
    if (way.gain === null || value === null) return found;
    const worth = (value * way.measured) / invest.domains;
    const months = (benefit) => {
      if (benefit === null) return null;
      const left = benefit - month;
      if (once <= 0 && left >= 0) return 0;
      return left > 0 ? once / left : null;
    };
    const benefit = {};
    for (const end of ["value", "low", "high"]) {
      benefit[end] = way.gain[end] === null ? null : way.gain[end] * worth * prices.requests_per_month;
    }
    found.benefit = benefit;
    found.months = { value: months(benefit.value), low: months(benefit.high), high: months(benefit.low) };
    return found;
  };

  // The same digits as sections/amounts.py writes.
  const minus = (text) => text.replaceAll("-", "−");
  const fixed = (number, digits) => {
    if (!Number.isFinite(number)) return "–";
    if (Math.abs(number) >= 1e15) return minus(number.toExponential(2));
    const [whole, rest] = number.toFixed(digits).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest ? `.${rest}` : "");
    return /[1-9]/.test(grouped) ? minus(grouped) : grouped.replace("-", "");
  };
  const significant = (number) => {
    if (number === 0 || !Number.isFinite(number) || Math.abs(number) >= 1e15) return fixed(number, 0);
    const order = Number(number.toExponential().split("e")[1]);
    const shown = fixed(number, Math.min(Math.max(0, 2 - order), 20));
    return shown.includes(".") ? shown.replace(/\.?0+$/, "") : shown;
  };
  const money = (number) => (Math.abs(number) >= 100 ? fixed(number, 0) : significant(number));
  const size = (number) =>
    number >= 2 ** 30 ? `${fixed(number / 2 ** 30, 1)} GiB` : `${fixed(Math.max(number / 2 ** 20, 1), 0)} MiB`;
  const fewer = (number) => `${fixed(number, 1)}%`;
  const monthsOf = (number) => (number > 0 && number < 0.05 ? "<0.1" : fixed(number, number < 10 ? 1 : 0));
  const forms = {
    storage: size,
    "serving memory": size,
    GPUs: (number) => fixed(number, 0),
    "training time": significant,
    "money once": money,
    "money per month": money,
  };

  const paysBack = (words, way, found) => {
    if (way.gain === null) return words.unmeasured;
    const months = found.months;
    if (!months) return words.valueless;
    const places = { horizon: significant(prices.horizon_months) };
    for (const [end, number] of Object.entries(months)) places[end] = number === null ? "–" : monthsOf(number);
    if (months.low === null) return fill(words.never, places);
    if (months.value === null) return fill(words["not-at-gain"], places);
    if (months.high === null) return fill(words["maybe-never"], places);
    if (months.high === 0) return fill(words["at-once"], places);
    return fill(words[months.high <= prices.horizon_months ? "pays" : "late"], places);
  };

  const cellsOf = (words, way, figures, found) => {
    const cells = {};
    for (const [name, form] of Object.entries(forms)) cells[name] = form(figures[name]);
    if (!found) return cells;
    const { benefit } = found;
    return {
      ...cells,
      "extra once": money(found.once),
      "extra month": money(found.month),
      "needed value": significant(found.perRequest),
      "needed gain": found.needed === null ? "–" : found.needed <= 100 ? fewer(found.needed) : words["more-than-all"],
      benefit: benefit && benefit.value !== null ? money(benefit.value) : "–",
      "benefit interval":
        benefit && benefit.low !== null && benefit.high !== null
          ? fill(words.interval, { low: money(benefit.low), high: money(benefit.high) })
          : "",
      "pays back": paysBack(words, way, found),
    };
  };

  // The way that leaves most money, as actions/share_proposal.py has it; null where no gain has a value in money.
  const bestWay = (results) => {
    const left = Object.entries(results)
      .filter(([, { found }]) => found?.benefit)
      .map(([name, { found }]) => ({
        name,
        left: prices.horizon_months * (found.benefit.low - found.month) - found.once,
        pays: found.months.high !== null && found.months.high <= prices.horizon_months,
      }));
    return left.length ? left.reduce((best, other) => (other.left > best.left ? other : best)) : null;
  };

  const bestTold = (words, best) => {
    const measured = Object.values(invest.ways).some((way) => way.gain !== null);
    if (!best) return words[measured ? "best-valueless" : "best-unmeasured"];
    return fill(words[best.pays ? "best-pays" : "best-short"], {
      way: words[`way ${best.name}`],
      horizon: significant(prices.horizon_months),
      left: money(Math.abs(best.left)),
      currency: invest.currency,
    });
  };

  // What is recommended, and in which order: written by sections/cases.py for every case that prices can lead to.
  const recommend = (best) => {
    const now = best ? `${best.pays ? "pays" : "short"}:${best.name}` : "untold";
    for (const part of all("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(now);
    for (const body of all(".options")) {
      const placed = all("[data-places]", body).map((row) => [JSON.parse(row.dataset.places)[now], row]);
      for (const [place, row] of placed) {
        row.hidden = place === undefined;
        const number = row.querySelector(".place");
        if (number && !row.hidden) number.textContent = place;
      }
      const shown = placed.filter(([, row]) => !row.hidden).sort(([one], [other]) => one - other);
      body.prepend(...shown.map(([, row]) => row));
    }
  };

  // YAML takes 1e-7 for a word and 1.0e-7 for a number.
  const typed = (number) => {
    const text = String(number);
    return text.includes("e") && !text.includes(".") ? text.replace("e", ".0e") : text;
  };

  const asYaml = () => {
    const there = { ...prices, currency: invest.currency };
    return Object.entries(invest.own)
      .filter(([name, own]) => there[name] !== own)
      .map(([name]) => `${name}: ${typeof there[name] === "string" ? JSON.stringify(there[name]) : typed(there[name])}`)
      .join("\n");
  };

  const stored = (name) => (name === "value" ? invest.value : invest.prices[name]);
  const current = (name) => (name === "value" ? value : prices[name]);
  const asField = (number) => (number === null ? "" : typed(number));

  // A number that may be used, null for none, undefined where what was typed is refused.
  const read = (input) => {
    const name = input.dataset.price;
    if (input.value === "" && !input.validity.badInput && name === "value") return null;
    const number = input.value === "" ? NaN : Number(input.value);
    const [least, most] = invest.bounds[name];
    return number >= least && number <= most ? number : undefined;
  };

  const labels = (inputs, told) => inputs.map((input) => input.dataset.label).join(told.dataset.between);

  const show = () => {
    const figures = {};
    for (const [name, way] of Object.entries(invest.ways)) figures[name] = figuresOf(way);
    const results = {};
    for (const [name, way] of Object.entries(invest.ways)) {
      results[name] = { figures: figures[name], found: null };
      if (name !== untuned) results[name].found = breakEven(way, figures[name], figures[untuned]);
    }
    const best = bestWay(results);
    recommend(best);
    for (const place of all(".ways")) {
      const words = JSON.parse(place.dataset.words);
      const cells = {};
      for (const [name, way] of Object.entries(invest.ways)) {
        cells[name] = cellsOf(words, way, results[name].figures, results[name].found);
      }
      for (const cell of all("[data-cell]", place.closest(".page"))) {
        cell.textContent = cells[cell.dataset.way][cell.dataset.cell] ?? "–";
      }
      place.querySelector(".best").textContent = bestTold(words, best);
      const inputs = all("[data-price]", place);
      const refused = inputs.filter((input) => input.getAttribute("aria-invalid") === "true");
      const changed = inputs.filter((input) => current(input.dataset.price) !== stored(input.dataset.price));
      for (const input of inputs) input.classList.toggle("changed", changed.includes(input));
      const told = place.querySelector(".told");
      told.textContent = [
        changed.length ? fill(told.dataset.changed, { names: labels(changed, told) }) : told.dataset.same,
        refused.length ? fill(told.dataset.refused, { names: labels(refused, told) }) : "",
      ].join(" ").trim();
      const edited = changed.map((input) => input.dataset.price);
      for (const note of all(".price-edited", place.closest(".page"))) {
        const about = note.dataset.prices?.split(" ") ?? edited;
        note.hidden = !about.some((name) => edited.includes(name));
      }
      place.classList.toggle("edited", edited.length > 0);
      const file = place.querySelector(".yaml");
      file.textContent = asYaml() || file.dataset.none;
      const command = place.querySelector(".price-command");
      command.textContent = command.dataset.command + (value === null ? "" : ` --value ${typed(value)}`);
    }
  };

  const put = (name, number, except) => {
    if (name === "value") value = number;
    else prices[name] = number;
    for (const input of all(`.prices [data-price="${name}"]`)) {
      input.removeAttribute("aria-invalid");
      if (input !== except) input.value = asField(number);
    }
  };

  for (const place of all(".ways")) {
    const inputs = all("[data-price]", place);
    for (const input of inputs) {
      input.readOnly = false;
      input.addEventListener("input", () => {
        const number = read(input);
        if (number === undefined) input.setAttribute("aria-invalid", "true");
        else put(input.dataset.price, number, input);
        show();
      });
    }
    place.querySelector(".reset").addEventListener("click", () => {
      for (const input of inputs) put(input.dataset.price, stored(input.dataset.price), null);
      show();
    });
    const copy = place.querySelector(".copy-yaml");
    const words = copy.textContent;
    copy.addEventListener("click", async () => {
      const file = place.querySelector(".yaml");
      try {
        await navigator.clipboard.writeText(`${file.textContent}\n`);
        copy.textContent = copy.dataset.done;
      } catch {
        getSelection().selectAllChildren(file);
        copy.textContent = copy.dataset.failed;
      }
      setTimeout(() => (copy.textContent = words), 2500);
    });
    for (const tools of all(".price-tools, .price-help", place)) tools.hidden = false;
  }
  show();
}
