/** Reads our own source as data: which files there are, what they export, and what their tests are called. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Paths from the root of all TypeScript files below these folders, without generated ones. */
export function typeScriptFiles(root: string, folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.startsWith(join('chain', 'generated')))
      .map((path) => join(folder, path))
      .sort(),
  );
}

/** What a file declares and exports, each name once, though a schema and its type share theirs. */
export function exportedNames(path: string, source: string): string[] {
  const names = parse(path, source).statements.flatMap((statement) =>
    isExported(statement) ? declared(statement) : [],
  );
  return [...new Set(names)];
}

/** The first argument of every `test(…)` and `test.each(…)(…)`, as it is written. */
export function testNames(path: string, source: string): string[] {
  const file = parse(path, source);
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    const [first] = ts.isCallExpression(node) && isTest(node.expression) ? node.arguments : [];
    if (first && (ts.isStringLiteralLike(first) || ts.isTemplateExpression(first)))
      names.push(first.getText(file).slice(1, -1));
    node.forEachChild(visit);
  };
  visit(file);
  return names;
}

function parse(path: string, source: string): ts.SourceFile {
  return ts.createSourceFile(path, source, ts.ScriptTarget.ES2023, true);
}

function isExported(statement: ts.Statement): boolean {
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function declared(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  const { name } = statement as ts.DeclarationStatement;
  return name ? [name.getText()] : [];
}

/** `test`, `test.each(…)`, `test.only` and the like. */
function isTest(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return callee.text === 'test' || callee.text === 'it';
  if (ts.isPropertyAccessExpression(callee)) return callee.name.text !== 'each' && isTest(callee.expression);
  if (ts.isCallExpression(callee)) return isEach(callee.expression);
  return ts.isTaggedTemplateExpression(callee) && isEach(callee.tag);
}

function isEach(callee: ts.Expression): boolean {
  return ts.isPropertyAccessExpression(callee) && callee.name.text === 'each' && isTest(callee.expression);
}
