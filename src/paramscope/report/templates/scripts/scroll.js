// What can be scrolled sideways says so at its edge, and only that is a stop for the keyboard.
{
  const look = (region) => {
    const hidden = region.scrollWidth - region.clientWidth;
    region.classList.toggle("goes-on", hidden - region.scrollLeft > 4);
    if (hidden > 1) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
  };
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => look(entry.target)));
  for (const region of all(".scroll")) {
    region.addEventListener("scroll", () => look(region), { passive: true });
    watch.observe(region);
    look(region);
  }
}
