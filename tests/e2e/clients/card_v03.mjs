// A user's program on @a2a-js/sdk 0.3: `node card_v03.mjs URL TOKEN JSONRPC|HTTP+JSON`.
// It gets the extended card, and prints one JSON object with what there is to see.
import { ClientFactory, ClientFactoryOptions } from "@a2a-js/sdk/client";

const [url, token, binding] = process.argv.slice(2);

const plain = globalThis.fetch;
globalThis.fetch = (target, init = {}) =>
  plain(target, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });

const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { preferredTransports: [binding] });
const client = await new ClientFactory(options).createFromUrl(url);
const card = await client.getAgentCard();

console.log(
  JSON.stringify({
    name: card.name,
    skills: card.skills.map((skill) => skill.id),
    scheme: card.securitySchemes.bearerAuth,
    signatures: card.signatures.length,
  }),
);
