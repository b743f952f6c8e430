// @ts-check
/** French. How a language is added: doc/widget.md. */

/** What is seen at once. */
export const face = {
  dir: 'ltr',
  promise:
    'Votre navigateur devient un pont sûr pour celles et ceux qui veulent accéder librement ' +
    'à l’information.',
  short: 'Votre navigateur devient un pont pour des lecteurs bloqués.',
  off: 'Désactivé. Activez l’interrupteur pour aider.',
  starting: 'Démarrage…',
  waiting: 'En attente de quelqu’un qui a besoin d’un pont',
  carrying: {
    one: 'Vous aidez {n} personne en ce moment',
    many: 'Vous aidez {n} de personnes en ce moment',
    other: 'Vous aidez {n} personnes en ce moment',
  },
  trouble: 'Réseau injoignable. Nouvel essai…',
  unable: 'Ce navigateur ne peut pas aider : WebRTC ou WebAssembly est désactivé.',
  helped: 'Aidées',
  carried: 'Transmis',
  speed: 'Débit',
  globe: 'Globe',
  risks: 'Fonctionnement et risques',
  settings: 'Réglages',
  details: 'Détails',
  idle: 'Pourquoi personne ne vient ?',
  info: 'À propos de ce projet',
  donate: 'Faire un don',
};

/** What is behind the links, or not seen at first. */
export const panels = {
  pausedVisitor: 'En pause',
  pausedBudget: 'En pause : les données de ce mois sont épuisées',
  pausedHours: 'En pause jusqu’aux heures que vous avez fixées',
  pausedMetered: 'En pause : cette connexion est limitée',
  pausedBattery: 'En pause : la batterie est faible',
  elsewhere: 'Le pont est dans sa propre petite fenêtre',
  connected: 'Une nouvelle personne est connectée : {country}',
  connectedSomewhere: 'Une nouvelle personne est connectée',
  back: 'Retour',
  about1:
    'Tant que l’interrupteur est activé et que cette page est ouverte, votre navigateur ' +
    'transmet des données chiffrées pour des personnes dans des pays qui bloquent la presse ' +
    'libre. Fermez la page ou désactivez l’interrupteur, et cela s’arrête.',
  about2:
    'Vous ne pouvez ni voir ni modifier ce qu’elles lisent : tout est scellé entre leur ' +
    'appareil et notre serveur. Les sites sont atteints depuis notre serveur, jamais depuis ' +
    'votre connexion.',
  about3:
    'Votre adresse internet devient visible pour les personnes que vous aidez, comme lors ' +
    'd’un appel vidéo, et pour quiconque surveille leur connexion. Si cela peut vous mettre ' +
    'en danger là où vous vivez, n’activez pas l’interrupteur.',
  about4:
    'Cela utilise vos envois et vos téléchargements, et les deux comptent si vous payez au ' +
    'volume. Vous pouvez fixer des limites.',
  about5:
    'Rien n’est installé, et personne d’autre que vous ne peut l’activer. Vos réglages et ' +
    'deux nombres, personnes aidées et données transmises, restent dans ce navigateur et ' +
    'nulle part ailleurs.',
  rate: 'Débit maximal',
  unlimited: 'Sans limite',
  people: 'Personnes à la fois',
  budget: 'Données par mois au plus',
  used: '{used} sur {budget} utilisés ce mois-ci',
  hours: 'Seulement à certaines heures',
  from: 'De',
  to: 'À',
  metered: 'Même quand les données sont payantes',
  battery: 'Même quand la batterie est faible',
  keep: 'Continuer d’aider sur ce site',
  keepHint: 'À votre prochaine visite, il s’active tout seul.',
  leave: 'Continuer d’aider après mon départ',
  leaveHint: 'Ouvre une petite fenêtre qui continue quand cette page est fermée.',
  idle1:
    'Personne ayant besoin d’un pont ne vous a encore été adressé. Laissez l’interrupteur ' +
    'activé : l’attente dure des secondes ou des heures, et ne vous coûte rien.',
  idleOff: 'L’interrupteur est désactivé.',
  connection: 'Votre connexion',
  natUnknown: 'Pas encore testée. Le test a lieu quand l’interrupteur est activé.',
  natEasy: 'Bonne : presque tout le monde peut vous joindre.',
  natHard:
    'Votre box laisse passer peu de monde. Vous pouvez tout de même aider certaines ' +
    'personnes, avec plus d’attente.',
  place: 'Votre pays, vu du réseau',
  last: 'Dernier problème',
  none: 'Aucun',
  unreachable: 'Le réseau n’a pas répondu.',
  files: 'Une partie du programme n’a pas pu être chargée.',
  garbage: 'Le réseau a envoyé quelque chose d’incompréhensible.',
  version: 'Le réseau utilise une version plus récente. Rechargez la page.',
  egress: 'Un serveur étranger au réseau a été proposé. Il a été refusé.',
  flood: 'Trop de demandes à la fois. Les autres ont été refusées.',
  silent: 'Quelqu’un a été annoncé et n’est jamais venu.',
  oversized: 'Un message était trop long. Il a été écarté.',
  udp:
    'Ce réseau ne laisse pas passer les appels (UDP bloqué). Une autre connexion conviendra ' +
    'peut-être.',
  session: 'Depuis l’activation',
  sessionValue: {
    one: '{n} personne aidée, {up} envoyés, {down} reçus',
    many: '{n} de personnes aidées, {up} envoyés, {down} reçus',
    other: '{n} personnes aidées, {up} envoyés, {down} reçus',
  },
  censoredTitle: 'Avez-vous vous-même besoin d’un pont ?',
  censored:
    'Vous semblez être dans ce pays : {country}. Ce réseau y sert à lire des pages bloquées. ' +
    'Cet interrupteur sert à aider les autres, et il montre votre adresse à des inconnus.',
  program: 'Obtenir le programme pour lecteurs',
  reader1:
    'Le programme s’appelle Footbridge. Il fonctionne sur votre ordinateur et fait passer ' +
    'votre navigateur par les ponts de personnes ailleurs, scellé pour qu’elles ne puissent ' +
    'pas lire.',
  reader2:
    'Il vous faut le programme et un lien d’accès, qui commence par « footbridge: ». Ils ' +
    'viennent de ceux qui gèrent ce réseau, ou de quelqu’un de confiance. Si votre connexion ' +
    'est peut-être surveillée, ne les cherchez pas avec elle.',
  anyway: 'Continuer quand même',
  notNow: 'Pas maintenant',
  covered:
    'Quelque chose sur cette page recouvre l’interrupteur, votre clic n’a donc pas compté. ' +
    'Faites défiler un peu, fermez ce qui le cache et réessayez.',
  confirm: 'Voulez-vous aider ?',
  confirmText:
    'La page d’où vous venez demande à utiliser votre navigateur comme pont. Votre adresse ' +
    'internet devient visible pour les personnes que vous aidez. La question est posée une ' +
    'fois pour ce site.',
  confirmYes: 'Oui, je veux aider',
  confirmApart:
    'Cette page tient cette fenêtre à l’écart, vous ne pouvez donc aider que d’ici. Gardez ' +
    'cette fenêtre ouverte pendant ce temps.',
  confirmHere: 'Aider dans cette fenêtre',
  asks:
    'Une petite fenêtre vous le demande une fois encore. Si elle ne s’est pas ouverte, votre ' +
    'navigateur l’a bloquée.',
};

/** What the extension says instead. */
export const extension = {
  about1Extension:
    'Tant que l’interrupteur est activé et que votre navigateur est ouvert, celui-ci ' +
    'transmet des données chiffrées pour des personnes dans des pays qui bloquent la presse ' +
    'libre. Désactivez l’interrupteur, et cela s’arrête. Quand le navigateur redémarre, ' +
    'l’interrupteur est tel que vous l’avez laissé.',
  about5Extension:
    'Aucun site web, ni personne d’autre que vous, ne peut l’activer. Vos réglages et deux ' +
    'nombres, personnes aidées et données transmises, restent dans ce navigateur et nulle ' +
    'part ailleurs.',
  versionExtension: 'Le réseau utilise une version plus récente. Mettez à jour cette extension.',
};
