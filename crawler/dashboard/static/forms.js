// Asks before a button that says so does its work, and helps to choose rows.
export function confirmations() {
  const dialog = document.getElementById("confirm");
  let asked = null;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-confirm]");
    if (!button || button === asked) return;
    event.preventDefault();
    dialog.querySelector("#confirm-text").textContent = button.dataset.confirm;
    dialog.returnValue = "no";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes") return;
      asked = button;
      button.form.requestSubmit(button);
      asked = null;
    }, { once: true });
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
