import escape from "escape-html";

const greeting: string = escape("fish & chips");

document.body.innerHTML = greeting;
