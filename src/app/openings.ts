/** Cleaning up after a function that opens several things and fails half-way. */

/** Closes in reverse order what one function opens, unless the function hands all of it to its caller. */
export class Openings implements AsyncDisposable {
  private opened: AsyncDisposable[] = [];

  /** Remembers a resource to be closed, and returns it. */
  add<T extends AsyncDisposable>(resource: T): T {
    this.opened.push(resource);
    return resource;
  }

  /** Hands everything over: from here on the caller closes it. */
  release(): AsyncDisposable {
    const handed = new Openings();
    handed.opened = this.opened;
    this.opened = [];
    return { [Symbol.asyncDispose]: () => handed[Symbol.asyncDispose]() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.opened.reverse()) await resource[Symbol.asyncDispose]();
  }
}
