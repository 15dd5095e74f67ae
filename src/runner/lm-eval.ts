/** Runs a task of lm-eval, whose figures model cards quote, on a trained model. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '../lib/errors';
import { pythonPath } from './python';

export type LmEvalError =
  | { code: 'runner/no-lm-eval'; python: string }
  | { code: 'runner/lm-eval-failed'; exitCode: number | null };

export interface LmEvalTask {
  /** Absolute; of an adapter also that of its base. */
  directory: string;
  base?: string | undefined;
  task: string;
  device: string;
  /** Leaves stdout to what is written as JSON; its table goes to stderr. */
  isJson: boolean;
}

/** Sequences computed at once. */
const BATCH = '8';
/** It downloads the data of its tasks, so it runs outside of the sandbox; its user installs it. */
const CHECK = 'import importlib.util, sys; sys.exit(0 if importlib.util.find_spec("lm_eval") else 3)';
/** Prints the figures alone, as one object. */
const RUN_JSON = `
import contextlib, json, sys
with contextlib.redirect_stdout(sys.stderr):
    import lm_eval
    task = json.loads(sys.argv[1])
    found = lm_eval.simple_evaluate(model="hf", model_args=task["modelArgs"], tasks=[task["task"]],
                                    batch_size=task["batch"], device=task["device"])
print(json.dumps(found["results"], default=str))
`;

/** Runs the task; its output is lm-eval's own. Throws an `LmEvalError`, and the signal's reason. */
export async function runLmEval({ directory, base, task, device, isJson }: LmEvalTask, signal: AbortSignal) {
  const python = pythonPath();
  if ((await runPython(python, ['-c', CHECK], signal)) !== 0) {
    throw new AppError<LmEvalError>(
      { code: 'runner/no-lm-eval', python },
      `${python} has no lm-eval; install it with \`${python} -m pip install lm-eval\`, or measure with --data.`,
    );
  }
  const modelArgs = base === undefined ? `pretrained=${directory}` : `pretrained=${base},peft=${directory}`;
  const options = ['--model', 'hf', '--model_args', modelArgs, '--tasks', task, '--batch_size', BATCH];
  const args = isJson
    ? ['-c', RUN_JSON, JSON.stringify({ modelArgs, task, batch: BATCH, device })]
    : ['-m', 'lm_eval', ...options, '--device', device];
  const exitCode = await runPython(python, args, signal);
  if (exitCode === 0) return;
  throw new AppError<LmEvalError>(
    { code: 'runner/lm-eval-failed', exitCode },
    `lm-eval ended with status ${exitCode}; what it printed says why.`,
  );
}

async function runPython(python: string, args: readonly string[], signal: AbortSignal): Promise<number | null> {
  signal.throwIfAborted();
  const child = spawn(python, args, { stdio: ['ignore', 'inherit', 'inherit'], signal });
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
