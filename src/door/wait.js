const look = () => fetch("sign-in-state" + location.search)
  .then(answer => answer.text())
  .then(state => state === document.body.dataset.state ? setTimeout(look, 500) : location.reload())
  .catch(() => setTimeout(look, 3000));
setTimeout(look, 500);
