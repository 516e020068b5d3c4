// The domains' matrix for any layer or band: the page's data holds the very hundredths that are written.
if (numbers.matrix) {
  const { names, layers, bands, bounds, shades, dark, form } = numbers.matrix;
  const count = names.length;
  const at = (triangle, row, column) => {
    const [low, high] = row < column ? [row, column] : [column, row];
    return triangle[low * count - (low * (low - 1)) / 2 + high - low];
  };
  const told = (value) => (value === null ? "–" : (value < 0 ? "−" : "") + (Math.abs(value) / 100).toFixed(2));
  const written = (value) => (form === "" ? "" : form === ".25" ? told(value).replace("0.", ".") : told(value));

  const paint = (chart, triangle, kind) => {
    const [low, high] = bounds[kind];
    const most = dark[kind].length - 1;
    const rects = all(".cells rect", chart);
    const texts = all(".cells text", chart);
    for (let place = 0; place < count * count; place++) {
      const value = at(triangle, Math.floor(place / count), place % count);
      const step = value === null ? null : Math.round(most * Math.min(Math.max((value - low) / (high - low), 0), 1));
      rects[place].classList.toggle("missing", step === null);
      if (step === null) rects[place].removeAttribute("fill");
      else rects[place].setAttribute("fill", `#${shades[kind].slice(6 * step, 6 * step + 6)}`);
      const ink = step === null ? "missing-ink" : dark[kind][step] === "1" ? "on-dark" : "on-pale";
      texts[place].setAttribute("class", `cell ${ink}`);
      texts[place].textContent = written(value);
    }
  };

  const pairsTold = (triangle, words) => {
    let most = null;
    let least = null;
    let pairs = 0;
    for (let row = 0; row < count; row++) {
      for (let column = row + 1; column < count; column++) {
        const value = at(triangle, row, column);
        if (value === null) continue;
        pairs += 1;
        if (!most || value > most.value) most = { row, column, value };
        if (!least || value < least.value) least = { row, column, value };
      }
    }
    if (!most) return words("none");
    const [one, other] = [names[most.row], names[most.column]];
    if (pairs === 1) return fill(words("pair"), { one, other, value: told(most.value) });
    const [third, fourth] = [names[least.row], names[least.column]];
    return fill(words("pairs"), { one, other, most: told(most.value), third, fourth, least: told(least.value) });
  };

  const show = (box, words, kind, triangle, where) => {
    const chart = box.querySelector("svg");
    const heading = fill(words(kind), { band: where });
    const pairs = pairsTold(triangle, words);
    paint(chart, triangle, kind);
    for (const scale of all(".scale", chart)) {
      if (scale.classList.contains(kind)) scale.removeAttribute("display");
      else scale.setAttribute("display", "none");
    }
    box.querySelector(".matrix-heading").textContent = heading;
    box.querySelector(".matrix-told").textContent = pairs;
    box.querySelector(".matrix-tip").textContent = "";
    chart.querySelector("title").textContent = fill(words("title"), { heading });
    chart.querySelector("desc").textContent = pairs;
  };

  // Below a matrix: what the cell under the pointer is.
  const explain = (box, words, current) => {
    const tip = box.querySelector(".matrix-tip");
    const rects = all(".cells rect", box);
    box.querySelector("svg").addEventListener("pointerover", (event) => {
      const place = rects.indexOf(event.target);
      if (place < 0) {
        tip.textContent = "";
        return;
      }
      const [row, column] = [Math.floor(place / count), place % count];
      const values = { one: names[row], other: names[column], value: told(at(current(), row, column)) };
      tip.textContent = fill(row === column ? words("within") : words("cell"), values);
    });
  };

  for (const matrices of all(".matrices")) {
    const words = (name) => matrices.getAttribute(`data-words-${name}`);
    const still = matrices.querySelector(".still");
    const movable = matrices.querySelector(".movable");
    const settings = movable.querySelector(".settings");
    const slider = settings.querySelector(".single");
    const choices = all(".members", settings);
    const kinds = all(".kind", settings);
    const kind = () => kinds.find((choice) => choice.checked).value;
    const band = () => choices.find((choice) => choice.checked);
    const fixed = () => bands[kind()][still.dataset.band];
    const moved = () => (band() ? bands[kind()][band().value] : layers[kind()][Number(slider.value)]);
    const move = () => {
      const where = band() ? band().dataset.where : fill(words("layer"), { layer: slider.value });
      show(movable, words, kind(), moved(), where);
      if (slider) settings.querySelector(".at").textContent = slider.value;
    };
    const turn = () => {
      if (still) show(still, words, kind(), fixed(), still.dataset.where);
      move();
    };
    if (still) explain(still, words, fixed);
    explain(movable, words, moved);
    for (const choice of choices) choice.addEventListener("change", move);
    for (const choice of kinds) choice.addEventListener("change", turn);
    slider?.addEventListener("input", () => {
      for (const choice of choices) choice.checked = false;
      move();
    });
    settings.hidden = false;
    // A browser may have kept the settings when the page was loaded again.
    turn();
  }
}
