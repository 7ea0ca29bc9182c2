// Shows the moments of a page in the zone of its reader.
const at = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function localTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]:not([data-clock])")) {
    const text = at.format(new Date(each.dateTime));
    if (each.textContent !== text) each.textContent = text;
  }
  const zone = document.querySelector("footer .zone");
  if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });

// The lines of a log show the time of day alone.
export function clockTimes(root) {
  for (const each of root.querySelectorAll("time[data-clock]")) {
    const moment = new Date(each.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    each.textContent = clock.format(moment);
  }
}
