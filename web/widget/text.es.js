// @ts-check
/** Spanish. How a language is added: doc/widget.md. */

/** What is seen at once. */
export const face = {
  dir: 'ltr',
  promise:
    'Tu navegador se convierte en un puente seguro para quienes quieren acceder libremente a ' +
    'la información.',
  short: 'Tu navegador será un puente para lectores bloqueados.',
  off: 'Apagado. Activa el interruptor para ayudar.',
  starting: 'Iniciando…',
  waiting: 'Esperando a alguien que necesite un puente',
  carrying: {
    one: 'Ayudando a {n} persona ahora mismo',
    many: 'Ayudando a {n} de personas ahora mismo',
    other: 'Ayudando a {n} personas ahora mismo',
  },
  trouble: 'No se puede llegar a la red. Volviendo a intentar…',
  unable: 'Este navegador no puede ayudar: WebRTC o WebAssembly está desactivado.',
  helped: 'Ayudadas',
  carried: 'Transmitido',
  speed: 'Velocidad',
  globe: 'Globo terráqueo',
  risks: 'Cómo funciona y qué riesgos hay',
  settings: 'Ajustes',
  details: 'Detalles',
  idle: '¿Por qué no llega nadie?',
  info: 'Sobre este proyecto',
  donate: 'Donar',
};

/** What is behind the links, or not seen at first. */
export const panels = {
  pausedVisitor: 'En pausa',
  pausedBudget: 'En pausa: se agotaron los datos de este mes',
  pausedHours: 'En pausa hasta el horario que fijaste',
  pausedMetered: 'En pausa: esta conexión es de uso medido',
  pausedBattery: 'En pausa: queda poca batería',
  elsewhere: 'El puente está en su propia ventanita',
  connected: 'Se ha conectado alguien nuevo: {country}',
  connectedSomewhere: 'Se ha conectado alguien nuevo',
  back: 'Volver',
  about1:
    'Mientras el interruptor esté activado y esta página abierta, tu navegador transmite ' +
    'datos cifrados para personas en países que bloquean la prensa libre. Cierra la página o ' +
    'desactiva el interruptor y se acaba.',
  about2:
    'No puedes ver ni cambiar lo que leen: va sellado entre su dispositivo y nuestro ' +
    'servidor. A los sitios web se llega desde nuestro servidor, nunca desde tu conexión.',
  about3:
    'Tu dirección de internet queda a la vista de las personas a las que ayudas, como en una ' +
    'videollamada, y de quien vigile su conexión. Si eso puede ponerte en peligro donde ' +
    'vives, no actives el interruptor.',
  about4:
    'Usa tu subida y tu bajada, y las dos cuentan si pagas por los datos. Puedes fijar ' +
    'límites.',
  about5:
    'No se instala nada y nadie más que tú puede activarlo. Tus ajustes y dos números, ' +
    'personas ayudadas y datos transmitidos, se guardan en este navegador y en ningún otro ' +
    'lugar.',
  rate: 'Velocidad máxima',
  unlimited: 'Sin límite',
  people: 'Personas a la vez',
  budget: 'Datos al mes como máximo',
  used: '{used} de {budget} usados este mes',
  hours: 'Solo a ciertas horas',
  from: 'Desde',
  to: 'Hasta',
  metered: 'También cuando los datos cuestan dinero',
  battery: 'También cuando queda poca batería',
  keep: 'Seguir ayudando en este sitio',
  keepHint: 'En tu próxima visita se activa solo.',
  leave: 'Seguir ayudando cuando me vaya',
  leaveHint: 'Abre una ventana pequeña que continúa al cerrar esta página.',
  idle1:
    'Todavía no te ha llegado nadie que necesite un puente. Deja el interruptor activado: ' +
    'pueden pasar segundos u horas, y no te cuesta nada.',
  idleOff: 'El interruptor está desactivado.',
  connection: 'Tu conexión',
  natUnknown: 'Aún sin probar. La prueba se hace con el interruptor activado.',
  natEasy: 'Buena: casi todo el mundo puede llegar a ti.',
  natHard:
    'Tu router deja pasar a pocos. Aun así puedes ayudar a algunas personas; esperarás más ' +
    'tiempo.',
  place: 'Tu país, según la red',
  last: 'Último problema',
  none: 'Ninguno',
  unreachable: 'La red no respondió.',
  files: 'No se pudo obtener una parte del programa.',
  garbage: 'La red dijo algo que no tiene sentido.',
  version: 'La red usa una versión más nueva. Recarga la página.',
  egress: 'Se nombró un servidor que no es de la red. Fue rechazado.',
  flood: 'Demasiadas peticiones a la vez. El resto se rechazó.',
  silent: 'Se anunció a alguien que nunca llegó.',
  oversized: 'Un mensaje era demasiado largo. Se descartó.',
  udp: 'Esta red no deja pasar llamadas (UDP bloqueado). Quizá funcione otra conexión.',
  session: 'Desde que lo activaste',
  sessionValue: {
    one: '{n} persona ayudada, {up} enviados, {down} recibidos',
    many: '{n} de personas ayudadas, {up} enviados, {down} recibidos',
    other: '{n} personas ayudadas, {up} enviados, {down} recibidos',
  },
  censoredTitle: '¿Eres tú quien necesita un puente?',
  censored:
    'Parece que estás en este país: {country}. Allí esta red sirve para leer páginas ' +
    'bloqueadas. Este interruptor es para ayudar a otros y muestra tu dirección a ' +
    'desconocidos.',
  program: 'Obtener el programa para lectores',
  reader1:
    'El programa se llama Footbridge. Funciona en tu propio ordenador y lleva tu navegador ' +
    'por los puentes de personas en otros lugares, sellado para que no puedan leer.',
  reader2:
    'Necesitas el programa y un enlace de acceso, que empieza por «footbridge:». Los dan ' +
    'quienes llevan esta red o alguien de tu confianza. Si tu conexión puede estar vigilada, ' +
    'no los busques con ella.',
  anyway: 'Continuar de todos modos',
  notNow: 'Ahora no',
  covered:
    'Algo en esta página está encima del interruptor, así que tu clic no contó. Desplázate ' +
    'un poco, cierra lo que lo tapa e inténtalo de nuevo.',
  confirm: '¿Quieres ayudar?',
  confirmText:
    'La página de la que vienes pide usar tu navegador como puente. Tu dirección de internet ' +
    'queda a la vista de las personas a las que ayudas. Se pregunta una sola vez para este ' +
    'sitio.',
  confirmYes: 'Sí, quiero ayudar',
  confirmApart:
    'Esa página mantiene esta ventana aparte, así que solo puedes ayudar desde aquí. Deja ' +
    'esta ventana abierta mientras lo hagas.',
  confirmHere: 'Ayudar en esta ventana',
  asks:
    'Una ventana pequeña te lo pregunta una vez más. Si no se ha abierto, tu navegador la ha ' +
    'bloqueado.',
};

/** What the extension says instead. */
export const extension = {
  about1Extension:
    'Mientras el interruptor esté activado y el navegador en marcha, este transmite datos ' +
    'cifrados para personas en países que bloquean la prensa libre. Desactiva el ' +
    'interruptor y se acaba. Cuando el navegador vuelva a abrirse, el interruptor estará ' +
    'como lo dejaste.',
  about5Extension:
    'Ningún sitio web ni nadie más que tú puede activarlo. Tus ajustes y dos números, ' +
    'personas ayudadas y datos transmitidos, se guardan en este navegador y en ningún otro ' +
    'lugar.',
  versionExtension: 'La red usa una versión más nueva. Actualiza esta extensión.',
};
