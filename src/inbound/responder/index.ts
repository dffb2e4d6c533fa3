export { createAsk, httpResponder, type Ask } from './ask.ts';
export { type HistoryItem, type Reply, type Responder, ResponderError, type ResponderRequest } from './contract.ts';
export { createHistory, type History } from './history.ts';
export { responderHooks } from './hooks.ts';
export { createRespondProcessor, type RespondOutcome, type RespondProcessor } from './processor.ts';
export { createTurns, type Turns } from './turns.ts';
