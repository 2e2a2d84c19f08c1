const attempt = "?attempt=" + document.body.dataset.attempt;
const look = () => fetch("sign-in-state" + attempt)
  .then(answer => answer.text())
  .then(state => state === document.body.dataset.state ? setTimeout(look, 500) : location.replace("sign-in" + attempt))
  .catch(() => setTimeout(look, 3000));
setTimeout(look, 500);
