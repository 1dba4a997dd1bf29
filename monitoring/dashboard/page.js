// What a page tells the server: which panels are in view, whether the tab is, and whether it is dark.
// What belongs here: what only the browser knows. What does not: drawing.
(() => {
  const wish = () => localStorage.getItem("millrace-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (wish() ? wish() === "dark" : system.matches);
  const paint = () => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    window.Quasar?.Dark?.set(isDark());
  };
  const tell = () => emitEvent("shown", { shown: !document.hidden, dark: isDark() });
  paint();
  window.millraceBegin = () => {
    paint();
    const observer = new IntersectionObserver(
      (entries) =>
        emitEvent("seen", Object.fromEntries(entries.map((e) => [e.target.dataset.panel, e.isIntersecting]))),
      { rootMargin: "200px 0px" },
    );
    document.querySelectorAll("[data-panel]").forEach((panel) => observer.observe(panel));
    document.addEventListener("visibilitychange", tell);
    system.addEventListener("change", () => (paint(), tell()));
    return isDark();
  };
  // A document comes after the page: the browser has looked for the section before it was there.
  window.millraceTo = (hash) => hash && document.getElementById(hash.slice(1))?.scrollIntoView();
  window.millraceTheme = () => {
    localStorage.setItem("millrace-theme", isDark() ? "light" : "dark");
    paint();
    tell();
  };
})();
