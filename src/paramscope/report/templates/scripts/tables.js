// Tables whose rows are sorted by a click on a head, filtered by words, and copied for a spreadsheet.
{
  const valueOf = (row, column) => {
    const text = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const number = Number(text);
    return text === "" ? null : Number.isNaN(number) ? text : number;
  };

  const order = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), document.documentElement.lang, { numeric: true });
  };

  const sort = (table, column, ascending) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
    // What has no value stands at the end in either order.
    rows.sort(([one], [other]) => {
      if (one === null || other === null) return (one === null) - (other === null);
      return ascending ? order(one, other) : order(other, one);
    });
    body.append(...rows.map(([, row]) => row));
    for (const [place, head] of [...table.tHead.rows[0].cells].entries()) {
      if (place === column) head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
  };

  // A spreadsheet takes what begins so for a formula.
  const inert = (text) => (/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);

  // Numbers are copied as they were measured, words as they are shown.
  const asText = (cell) => inert(((cell.matches("td:not(.words)") && cell.dataset.value) || cell.innerText).replace(/\s+/g, " ").trim());

  const asTsv = (table) => {
    const rows = [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => !row.hidden)];
    return rows.map((row) => [...row.cells].map(asText).join("\t")).join("\n");
  };

  const copy = async (table, button) => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(asTsv(table));
      button.textContent = button.dataset.done;
    } catch {
      getSelection().selectAllChildren(table);
      button.textContent = button.dataset.failed;
    }
    setTimeout(() => (button.textContent = before), 2500);
  };

  for (const table of all("table.sortable")) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") !== "ascending"));
    }
    const tools = all(".tools").find((each) => each.dataset.for === table.id);
    if (!tools) continue;
    const rows = [...table.tBodies[0].rows];
    const shown = tools.querySelector(".shown");
    const tell = () => {
      const left = rows.filter((row) => !row.hidden).length;
      shown.textContent = fill(shown.dataset.words, { shown: left, all: rows.length });
    };
    tools.querySelector(".filter").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => text.includes(word));
      }
      tell();
    });
    tools.querySelector(".copy").addEventListener("click", (event) => copy(table, event.target));
    tools.hidden = false;
    tell();
  }
}
