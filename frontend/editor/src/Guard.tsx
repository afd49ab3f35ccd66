import { Component, type ReactNode } from "react";

interface Props {
  children: ReactNode;
  /** What the children show. When it changes, they are rendered again. */
  of: unknown;
  /** Gives the replacement meanwhile; nothing by default. */
  stand?: (error: Error, retry: () => void) => ReactNode;
  onFail?: () => void;
}

interface State {
  of: unknown;
  error: Error | null;
}

/** An error boundary: when its children fail, the rest of the page goes on. */
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
