// Nodes and what is changed of them. Nothing is touched that is as it should be.

export function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function style(element, name, value) {
  if (element.style[name] !== value) element.style[name] = value;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

export function classed(element, text) {
  if (element.className !== text) element.className = text;
}

// Show items in order, a row each by its key: a row that stays is kept, and with it who has its focus.
export function arrange(parent, rows, items, keyOf, made) {
  const keys = items.map(keyOf);
  for (const key of rows.keys()) if (!keys.includes(key)) rows.delete(key);
  const order = items.map((item, index) => {
    if (!rows.has(keys[index])) rows.set(keys[index], made(item));
    rows.get(keys[index]).update(item);
    return rows.get(keys[index]).root;
  });
  const stays = order.length === parent.children.length && order.every((child, index) => parent.children[index] === child);
  if (!stays) parent.replaceChildren(...order);
}

// A line that says what has gone wrong, once there is something to say.
export function fault() {
  const root = node("p", { class: "error", role: "alert", hidden: "" });
  return {
    root,
    say(text) {
      put(root, text);
      show(root, Boolean(text));
    },
  };
}
