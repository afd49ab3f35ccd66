// What phoenix 1.7 uses of XMLHttpRequest, which node lacks, over fetch. It fires its events in a
// browser's order: an error, a time-out and an abort each announce the state "done" first.

const UNSENT = 0;
const OPENED = 1;
const DONE = 4;

export class XMLHttpRequest {
  readyState = UNSENT;
  responseText = "";
  timeout = 0;
  onreadystatechange = null;
  onerror = null;
  ontimeout = null;

  #method;
  #url;
  #headers = {};
  #sent = false;
  #timer = null;
  #controller = new AbortController();

  open(method, url) {
    this.#method = method;
    this.#url = url;
    this.readyState = OPENED;
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  send(body) {
    this.#sent = true;
    if (this.timeout) {
      this.#timer = setTimeout(() => this.#finish("", this.ontimeout), this.timeout);
    }
    fetch(this.#url, {
      method: this.#method,
      headers: this.#headers,
      body,
      signal: this.#controller.signal,
    })
      .then((response) => response.text())
      .then(
        (text) => this.#finish(text, null),
        () => this.#finish("", this.onerror),
      );
  }

  abort() {
    if (this.#sent) {
      this.#finish("", null);
    }
    this.readyState = UNSENT;
  }

  #finish(text, callback) {
    if (!this.#sent) {
      return;
    }
    this.#sent = false;
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.responseText = text;
    this.readyState = DONE;
    this.onreadystatechange?.();
    callback?.();
  }
}
