// @ts-check
export default {
  lang: 'en',
  dir: /** @type {const} */ ('ltr'),
  promise:
    'Your browser becomes a secure bridge for people who want to freely access information.',
  off: 'Off. Flip the switch to help.',
  starting: 'Starting…',
  waiting: 'Waiting for someone who needs a bridge',
  carrying: { one: 'Helping {n} person right now', other: 'Helping {n} people right now' },
  trouble: 'Cannot reach the network. Trying again…',
  unable: 'This browser cannot help: WebRTC or WebAssembly is switched off.',
  helped: 'Helped',
  carried: 'Carried',
  what: 'What does this mean?',
  back: 'Back',
  paused: 'Paused',
  confirm: 'Do you want to help?',
  confirmText:
    'The page you came from asks to use your browser as a bridge. Your internet address becomes ' +
    'visible to the people you help. You are asked once for this site.',
  confirmYes: 'Yes, I want to help',
  confirmApart:
    'That page keeps this window apart from itself, so you can only help from here. Keep this ' +
    'window open while you do.',
  confirmHere: 'Help in this window',
  about: [
    'While the switch is on and this page is open, your browser passes on encrypted data for ' +
      'people in countries that block the free press. Close the page or flip the switch, and it ' +
      'ends.',
    'You can neither see nor change what they read: it is sealed between their device and our ' +
      'server. Websites are reached from our server, never from your connection.',
    'Your internet address becomes visible to the people you help, as in a video call, and to ' +
      'whoever watches their connection. If that could put you at risk where you live, leave the ' +
      'switch off.',
    'It uses your upload and download. If you pay by the megabyte, leave it off.',
    'Nothing is stored, nothing is installed, and no one but you can turn it on.',
  ],
};
