import { Dialog } from "./Dialog";

interface Props {
  title: string;
  text: string;
  /** What the button says by which it is done. */
  answer: string;
  onAnswer: () => void;
  onClose: () => void;
}

/** Asks before something is done. Enter does it, Escape leaves it. */
export function Question({ title, text, answer, onAnswer, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="body">
        <p>{text}</p>
        <div className="row end-row">
          <button className="button" onClick={onClose}>Cancel</button>
          <button
            className="button primary"
            onClick={() => {
              onClose();
              onAnswer();
            }}
          >
            {answer}
          </button>
        </div>
      </div>
    </Dialog>
  );
}
