// Asks before a button that says so does its work, and helps to choose rows.
export function confirmations() {
  const dialog = document.getElementById("confirm");
  let button = null;
  let form = null;
  document.addEventListener("click", (event) => {
    const found = event.target.closest("button[data-confirm]");
    if (!found) return;
    event.preventDefault();
    [button, form] = [found, found.form];
    dialog.querySelector("#confirm-text").textContent = button.dataset.confirm;
    dialog.showModal();
  });
  // The dialog's own event "close" may come late, when it is open for another question.
  dialog.addEventListener("submit", (event) => {
    if (event.submitter?.value !== "yes") return;
    if (!button.isConnected) form.append(button); // what is live has replaced it meanwhile
    form.requestSubmit(button);
  });
}

export function choices() {
  const all = document.querySelector("[data-all]");
  if (!all) return;
  const told = document.querySelector("[data-chosen]");
  const boxes = () => [...document.querySelectorAll("input[name=task]")];
  const count = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    if (told) told.textContent = chosen ? `With ${chosen} chosen:` : "With the chosen:";
  };
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; count(); });
  document.addEventListener("change", (event) => { if (event.target.name === "task") count(); });
}
