// Says when a page has lost its node, so that nobody takes what is old for what is so.
const PATIENCE_MS = 5000; // between two streams the browser pauses for two seconds
const AGAIN_MS = 5000;
let heard = new Date();
let timer = 0;

export function fresh() {
  heard = new Date();
  clearTimeout(timer);
  timer = 0;
  show(false);
}

// The browser connects anew by itself, but gives a stream up that was refused once: then `again` is
// called after a while.
export function lost(source, again) {
  if (!timer) timer = setTimeout(show, PATIENCE_MS, true);
  if (source.readyState === EventSource.CLOSED) setTimeout(again, AGAIN_MS);
}

function show(is) {
  const told = document.getElementById("lost");
  if (told.hidden !== is) return;
  told.querySelector("span").textContent = heard.toLocaleTimeString();
  told.hidden = !is;
}
