// Which of the languages of the page is shown is a matter of the style sheet; the document's own follows it.
{
  const choices = all("input[name=language]");
  const follow = () => {
    const chosen = choices.find((choice) => choice.checked);
    if (chosen) document.documentElement.lang = chosen.value;
  };
  const wanted = choices.find((choice) => navigator.language.startsWith(choice.value));
  if (wanted) wanted.checked = true;
  for (const choice of choices) choice.addEventListener("change", follow);
  follow();
}
