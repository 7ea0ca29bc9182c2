// What every page does beyond HTML: it shows times in the reader's zone, asks before what cannot be
// undone, and follows what changes. Without it the pages can be read and used all the same.
import { follow } from "./live.js";
import { localTimes } from "./times.js";
import { confirmations, choices } from "./forms.js";

localTimes(document);
confirmations();
choices();
for (const region of document.querySelectorAll("[data-live]")) follow(region.dataset.live);
