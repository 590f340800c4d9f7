// Tries a call with the key of the page's head. The key stays in that field: it is stored nowhere.
'use strict';

function openAt() {
  const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (at instanceof HTMLDetailsElement) at.open = true;
}

// request makes fetch's arguments from a call's form.
function request(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const options = { method: form.dataset.method, headers: { 'X-API-Key': document.getElementById('key').value } };
  for (const field of form.querySelectorAll('input[name]')) {
    if (field.dataset.in === 'path') path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    else if (field.value && field.dataset.in === 'header') options.headers[field.name] = field.value;
    else if (field.value) query.set(field.name, field.value);
  }
  const file = form.querySelector('input[type=file]');
  if (file) {
    options.body = new FormData();
    if (file.files[0]) options.body.set('file', file.files[0]);
  } else if (form.querySelector('textarea')) {
    options.body = form.querySelector('textarea').value;
    options.headers['Content-Type'] = form.dataset.type;
  }
  return [path + (query.size ? `?${query}` : ''), options];
}

async function attempt(event) {
  event.preventDefault();
  const form = event.target;
  const out = form.querySelector('.answer');
  const [path, options] = request(form);
  out.hidden = false;
  out.textContent = `${options.method} ${path} ...`;
  try {
    const answer = await fetch(path, options);
    let body = await answer.text();
    try { body = JSON.stringify(JSON.parse(body), null, 2); } catch { /* CSV is shown as it is */ }
    out.textContent = `${options.method} ${path}\n${answer.status} ${answer.statusText}\n\n${body.slice(0, 20000)}`;
  } catch (problem) {
    out.textContent = `${options.method} ${path}\n${problem.message}`;
  }
}

for (const form of document.querySelectorAll('form.try')) form.addEventListener('submit', attempt);
document.querySelector('form.search').addEventListener('submit', (event) => event.preventDefault());
window.addEventListener('hashchange', openAt);
openAt();
