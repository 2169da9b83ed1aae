// Rows that are ticked: all of them at once, and how many on the buttons that are about them. It works without.

const form = document.querySelector("[data-ticks]");

if (form) {
  const all = form.querySelector("[data-tick-all]");
  const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
  const buttons = [...form.querySelectorAll("[data-ticked]")].map((button) => ({ button, plain: button.value }));

  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && !all.checked;
    for (const { button, plain } of buttons) {
      button.value = ticked ? button.dataset.ticked.replace("%s", ticked) : plain;
      button.disabled = !ticked;
    }
  };

  all.closest("[hidden]").hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  form.addEventListener("change", count);
  addEventListener("pageshow", count); // a browser that goes back brings the ticks with it, and says so late
  count();
}
