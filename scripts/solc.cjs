#!/usr/bin/env node
'use strict';
/** npm's Solidity compiler, behind the two options that forge uses of a native one. */
const { readFileSync } = require('node:fs');
const solc = require('solc');

if (process.argv.includes('--version')) process.stdout.write(`solc\nVersion: ${solc.version()}\n`);
else process.stdout.write(solc.compile(readFileSync(0, 'utf8')));
