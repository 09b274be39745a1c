// pymdownx.arithmatex marks the formulas: \( ... \) in a line and \[ ... \] on lines of their own.
for (const element of document.querySelectorAll(".arithmatex")) {
  const text = element.textContent.trim();
  katex.render(text.slice(2, -2), element, {
    displayMode: text.startsWith("\\["),
    throwOnError: false, // a formula that is not understood is shown in red, and those after it are set
  });
}
