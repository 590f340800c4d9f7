// Unpacks the Chromium of @sparticuz/chromium into bin/ beside this file: the browser, the libraries it may lack
// (for LD_LIBRARY_PATH) and fonts (for FONTCONFIG_PATH).
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { brotliDecompressSync } from 'node:zlib';

const here = import.meta.dirname;
const packed = `${here}/node_modules/@sparticuz/chromium/bin`;
mkdirSync(`${here}/bin`, { recursive: true });
for (const name of ['al2023', 'fonts', 'swiftshader']) {
  execFileSync('tar', ['x', '-C', `${here}/bin`], { input: brotliDecompressSync(readFileSync(`${packed}/${name}.tar.br`)) });
}
writeFileSync(`${here}/bin/chromium`, brotliDecompressSync(readFileSync(`${packed}/chromium.br`)));
chmodSync(`${here}/bin/chromium`, 0o755);
// The package's own fonts.conf names directories of its cloud; without any font the browser ends at the first letter.
writeFileSync(`${here}/bin/fonts.conf`, `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${here}/bin/fonts</dir><cachedir>${here}/bin/fonts-cache</cachedir></fontconfig>
`);
