// A user's program on @a2a-js/sdk 1: `node card_v1.mjs URL TOKEN`.
// It verifies the signatures of both cards, of one that was changed too, and prints how that went.
import { importJWK } from "jose";
import { verifyAgentCardSignature } from "@a2a-js/sdk";

const [url, token] = process.argv.slice(2);

const headers = { authorization: `Bearer ${token}`, "a2a-version": "1.0" };
const get = async (path) => (await fetch(url + path, { headers })).json();

const { keys } = await get("/.well-known/jwks.json");
const results = {};

async function verified(card, known) {
  const verify = verifyAgentCardSignature(async (kid) => {
    const key = known.find((one) => one.kid === kid);
    return importJWK(key, key.alg);
  });
  try {
    await verify(card); // as it was fetched: of a card that it has parsed, this SDK loses the security schemes
    return true;
  } catch {
    return false;
  }
}

console.debug = () => {};
for (const path of ["/.well-known/agent-card.json", "/extendedAgentCard"]) {
  const card = await get(path);
  results[path] = [];
  for (const key of keys) results[path].push(await verified(card, [key]));
  results[path].push(await verified({ ...card, name: "Another" }, keys));
}
console.log(JSON.stringify(results));
