import { Component, type ReactNode } from "react";

interface Props {
  children: ReactNode;
  /** What the children show: where that is another, it is tried again. */
  of: unknown;
  /** Gives what stands there meanwhile; by default nothing does. */
  stand?: (error: Error, retry: () => void) => ReactNode;
  onFail?: () => void;
}

interface State {
  of: unknown;
  error: Error | null;
}

/** Keeps to itself what fails in it: what is around goes on. */
export class Guard extends Component<Props, State> {
  override state: State = { of: this.props.of, error: null };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  static getDerivedStateFromProps({ of }: Props, before: State): State | null {
    return of === before.of ? null : { of, error: null };
  }

  override componentDidCatch(): void {
    this.props.onFail?.();
  }

  override render(): ReactNode {
    const { error } = this.state;
    return error === null ? this.props.children : this.props.stand?.(error, this.#retry);
  }

  readonly #retry = (): void => {
    this.setState({ error: null });
  };
}
