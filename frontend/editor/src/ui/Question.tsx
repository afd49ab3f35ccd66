import { Dialog } from "./Dialog";

interface Props {
  title: string;
  text: string;
  /** The label of the button that does it. */
  answer: string;
  onAnswer: () => void;
  onClose: () => void;
}

/** Asks for confirmation. Enter confirms, Escape cancels. */
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
