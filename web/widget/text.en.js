// @ts-check
/** English. How a language is added: doc/widget.md. */

/** What is seen at once. */
export const face = {
  dir: 'ltr',
  promise:
    'Your browser becomes a secure bridge for people who want to freely access information.',
  short: 'Your browser becomes a bridge for blocked readers.',
  off: 'Off. Flip the switch to help.',
  starting: 'Starting…',
  waiting: 'Waiting for someone who needs a bridge',
  carrying: { one: 'Helping {n} person right now', other: 'Helping {n} people right now' },
  trouble: 'Cannot reach the network. Trying again…',
  unable: 'This browser cannot help: WebRTC or WebAssembly is switched off.',
  helped: 'Helped',
  carried: 'Carried',
  speed: 'Speed',
  globe: 'Globe',
  risks: 'How it works and what you risk',
  settings: 'Settings',
  details: 'Details',
  idle: 'Why am I idle?',
  info: 'About this project',
  donate: 'Donate',
};

/** What is behind the links, or not seen at first. */
export const panels = {
  pausedVisitor: 'Paused',
  pausedBudget: 'Paused: this month’s data is used up',
  pausedHours: 'Paused until the hours you have set',
  pausedMetered: 'Paused: this connection is metered',
  pausedBattery: 'Paused: the battery is low',
  elsewhere: 'The bridge is in its own small window',
  connected: 'Someone new is connected: {country}',
  connectedSomewhere: 'Someone new is connected',
  back: 'Back',
  about1:
    'While the switch is on and this page is open, your browser passes on encrypted data for ' +
    'people in countries that block the free press. Close the page or flip the switch, and ' +
    'it ends.',
  about2:
    'You can neither see nor change what they read: it is sealed between their device and ' +
    'our server. Websites are reached from our server, never from your connection.',
  about3:
    'Your internet address becomes visible to the people you help, as in a video call, and ' +
    'to whoever watches their connection. If that could put you at risk where you live, ' +
    'leave the switch off.',
  about4:
    'It uses your upload and download, and both count if you pay for data. You can set ' +
    'limits.',
  about5:
    'Nothing is installed, and no one but you can turn it on. Your settings and two numbers, ' +
    'people helped and data carried, are kept in this browser and nowhere else.',
  rate: 'Speed at most',
  unlimited: 'No limit',
  people: 'People at once',
  budget: 'Data a month at most',
  used: '{used} of {budget} used this month',
  hours: 'Only at certain hours',
  from: 'From',
  to: 'Until',
  metered: 'Also on connections where data costs money',
  battery: 'Also when the battery is low',
  keep: 'Keep helping on this site',
  keepHint: 'Next time you visit, it switches itself on.',
  leave: 'Keep helping after I leave',
  leaveHint: 'Opens a small window that goes on when this page is closed.',
  idle1:
    'Nobody who needs a bridge has been sent to you yet. Leave the switch on: the wait may ' +
    'be seconds or hours, and it costs you nothing.',
  idleOff: 'The switch is off.',
  connection: 'Your connection',
  natUnknown: 'Not tested yet. The test is made when the switch is on.',
  natEasy: 'Good: nearly everybody can reach you.',
  natHard:
    'Your router lets few people through. You can still help some of them, and will wait ' +
    'longer.',
  place: 'Your country, as the network sees it',
  last: 'Last trouble',
  none: 'None',
  unreachable: 'The network did not answer.',
  files: 'A part of the program could not be fetched.',
  garbage: 'The network said something that makes no sense.',
  version: 'The network speaks a newer version. Reload the page.',
  egress: 'A server was named that does not belong to the network. It was refused.',
  flood: 'Too many requests at once. The rest were refused.',
  silent: 'Someone was announced and never came.',
  oversized: 'A message was too long. It was dropped.',
  udp: 'This network lets no calls through (UDP is blocked). Another connection may work.',
  session: 'Since you switched it on',
  sessionValue: {
    one: '{n} person helped, {up} sent, {down} received',
    other: '{n} people helped, {up} sent, {down} received',
  },
  censoredTitle: 'Do you need a bridge yourself?',
  censored:
    'You seem to be in {country}, where the network is used to read blocked pages. This ' +
    'switch is for helping others, and it makes your address visible to strangers.',
  program: 'Get the program for readers',
  reader1:
    'The program is called Footbridge. It runs on your own computer and leads your browser ' +
    'through the bridges of people elsewhere, sealed so that they cannot read along.',
  reader2:
    'You need the program and a join link, which begins with “footbridge:”. Both come from ' +
    'those who run this network, or from somebody you trust. If your connection may be ' +
    'watched, do not search for them there.',
  anyway: 'Continue anyway',
  notNow: 'Not now',
  covered:
    'Something on this page lies over the switch, so your click did not count. Scroll a ' +
    'little, close what covers it, and try again.',
  confirm: 'Do you want to help?',
  confirmText:
    'The page you came from asks to use your browser as a bridge. Your internet address ' +
    'becomes visible to the people you help. You are asked once for this site.',
  confirmYes: 'Yes, I want to help',
  confirmApart:
    'That page keeps this window apart from itself, so you can only help from here. Keep ' +
    'this window open while you do.',
  confirmHere: 'Help in this window',
  asks: 'A small window asks you once more. If none has opened, your browser has blocked it.',
};

/** What the extension says instead. */
export const extension = {
  about1Extension:
    'While the switch is on and your browser is running, it passes on encrypted data for ' +
    'people in countries that block the free press. Flip the switch, and it ends. When the ' +
    'browser starts again, the switch is as you left it.',
  about5Extension:
    'No website and no one but you can turn it on. Your settings and two numbers, people ' +
    'helped and data carried, are kept in this browser and nowhere else.',
  versionExtension: 'The network speaks a newer version. Update this extension.',
};
