// Shows the moments of a page in the zone of its reader.
const at = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function localTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const text = at.format(new Date(each.dateTime));
    if (each.textContent !== text) each.textContent = text;
  }
  const zone = document.querySelector("footer .zone");
  if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
}
