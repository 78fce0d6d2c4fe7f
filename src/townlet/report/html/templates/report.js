"use strict";
(() => {
  const search = document.getElementById("journal-search");
  const count = document.getElementById("journal-count");
  const rows = Array.from(document.querySelectorAll("table.journal tbody tr"));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = words.length ? `${shown} of ${rows.length} records` : "";
  });
})();
