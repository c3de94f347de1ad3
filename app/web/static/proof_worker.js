// Finds the number whose SHA-256 after the salt is the challenge; answers null if there is none.
onmessage = async ({ data: { salt, challenge, max } }) => {
  const encoder = new TextEncoder();
  const wanted = challenge.match(/../g).map((pair) => parseInt(pair, 16));
  for (let number = 0; number <= max; number++) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(salt + number)));
    if (digest[0] === wanted[0] && digest[1] === wanted[1] && wanted.every((byte, index) => byte === digest[index])) {
      return postMessage(number);
    }
  }
  postMessage(null);
};
