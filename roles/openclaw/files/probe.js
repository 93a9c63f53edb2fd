// Asks the gateway in this container for a path, and succeeds only when the JSON it answers has this field with this value.
const [path, field, value] = process.argv.slice(1);
const failed = (why) => { console.log(why); process.exit(1); };
require('node:http').get({ host: '127.0.0.1', port: 18789, path, timeout: 4000 }, (answer) => {
  let text = '';
  answer.on('data', (part) => { text += part; });
  answer.on('end', () => {
    try { if (JSON.parse(text)[field] === value) process.exit(0); } catch { /* no JSON: the page for people */ }
    failed(`${path} answered ${answer.statusCode}: ${text.slice(0, 200)}`);
  });
}).on('timeout', () => failed(`${path}: no answer in 4 s`)).on('error', (error) => failed(`${path}: ${error.message}`));
