// @ts-check
/** The bridge away from the page's thread, where timers are not slowed down in hidden tabs. */
import { Bridge, keepTime } from './bridge.js';

const bridge = new Bridge((order) => postMessage(order));
onmessage = ({ data }) => bridge.tell(data);
keepTime((news) => bridge.tell(news));
postMessage({ do: 'ready' });
