// Light, dark, or as the system has it.

const CHOICES = ["auto", "light", "dark"];
const NAMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

/** Makes `button` go round the choices; the choice stays in this browser. */
export function startTheme(button) {
  let choice = CHOICES.includes(stored()) ? stored() : "auto";
  const apply = () => {
    document.documentElement.dataset.theme = choice;
    button.textContent = NAMES[choice];
  };
  button.addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    store(choice);
    apply();
  });
  apply();
}

// A browser may forbid storage; the theme is then chosen anew each time.
function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function store(choice) {
  try {
    localStorage.setItem("theme", choice);
  } catch {
    return;
  }
}
