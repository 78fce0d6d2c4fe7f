"use strict";
/* Read the page again until nobody writes it any more. What was read before is in the entry of the history: other
   storage is not there for files, and in frames. */
(() => {
  const line = document.getElementById("following");
  const written = line.dataset.written;
  const before = history.state && history.state.townletWritten === written ? history.state.townletReloads : -1;
  const reloads = before + 1;
  history.replaceState({ ...history.state, townletWritten: written, townletReloads: reloads }, "");
  if (reloads < Number(line.dataset.mostReloads)) {
    setTimeout(() => location.reload(), 1000 * Number(line.dataset.seconds));
  } else {
    line.textContent = line.dataset.still;
  }
})();
