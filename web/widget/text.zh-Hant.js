// @ts-check
/** Chinese, traditional. How a language is added: doc/widget.md. */

/** What is seen at once. */
export const face = {
  dir: 'ltr',
  promise: '您的瀏覽器將成為一座安全的橋，幫助想要自由取得資訊的人。',
  off: '已關閉。打開開關即可幫助他人。',
  starting: '正在啟動…',
  waiting: '正在等待需要橋的人',
  carrying: { other: '正在幫助 {n} 人' },
  trouble: '無法連上網路，正在重試…',
  unable: '此瀏覽器無法提供幫助：WebRTC 或 WebAssembly 已關閉。',
  pausedVisitor: '已暫停',
  pausedBudget: '已暫停：本月流量已用完',
  pausedHours: '已暫停，等待您設定的時段',
  pausedMetered: '已暫停：目前的連線按流量計費',
  pausedBattery: '已暫停：電量不足',
  elsewhere: '橋在獨立的小視窗中運作',
  connected: '有新的人連線：{country}',
  connectedSomewhere: '有新的人連線',
  helped: '已幫助',
  carried: '已傳送',
  speed: '速度',
  risks: '運作方式與風險',
  settings: '設定',
  details: '詳細資訊',
  idle: '為什麼沒有人連線？',
  info: '關於本專案',
  donate: '捐款',
};

/** What is behind the links. */
export const panels = {
  back: '返回',
  about1:
    '只要開關打開且此頁面未關閉，您的瀏覽器就會為身處封鎖自由媒體的國家的人轉送加密資料。關閉頁面或' +
    '關掉開關，一切即停止。',
  about2:
    '您看不到也無法更改他們閱讀的內容：資料在他們的裝置與我們的伺服器之間是密封的。網站由我們的伺服器' +
    '造訪，絕不會經由您的連線造訪。',
  about3:
    '就像視訊通話一樣，您的網路位址會被您幫助的人看到，也會被監視其連線的人看到。如果這在您所在的地方' +
    '可能給您帶來危險，請不要打開開關。',
  about4: '它會使用您的上傳和下載流量；如果按流量付費，兩者都會計入。您可以設定上限。',
  about5:
    '不安裝任何東西，除您之外沒有人能打開它。您的設定和兩個數字（幫助的人數和傳送的資料量）只保存在此' +
    '瀏覽器中。',
  rate: '最高速度',
  unlimited: '不限',
  people: '同時幫助的人數',
  budget: '每月最多流量',
  used: '本月已用 {used}，共 {budget}',
  hours: '僅在特定時段',
  from: '從',
  to: '到',
  metered: '按流量計費的連線也使用',
  battery: '電量不足時也繼續',
  keep: '在此網站繼續幫助',
  keepHint: '下次造訪時會自動打開。',
  leave: '離開後繼續幫助',
  leaveHint: '開啟一個小視窗，關閉此頁面後仍會繼續。',
  idle1: '還沒有需要橋的人被分配給您。請保持開關打開：可能要等幾秒，也可能幾小時，您不需要付出什麼。',
  idleOff: '開關已關閉。',
  connection: '您的連線',
  natUnknown: '尚未測試。打開開關後會進行測試。',
  natEasy: '良好：幾乎所有人都能連上您。',
  natHard: '您的路由器只讓少數人通過。您仍可幫助其中一些人，只是要等得更久。',
  place: '網路看到的您所在的國家或地區',
  last: '最近的問題',
  none: '無',
  unreachable: '網路沒有回應。',
  files: '程式的一部分無法取得。',
  garbage: '網路傳來了無法理解的內容。',
  version: '網路使用了更新的版本。請重新載入頁面。',
  egress: '出現了不屬於本網路的伺服器，已拒絕。',
  flood: '同時到來的請求過多，其餘已拒絕。',
  silent: '有人被告知要來，卻沒有出現。',
  oversized: '一則訊息過長，已捨棄。',
  udp: '此網路不允許通話（UDP 被封鎖）。換一個連線也許可行。',
  session: '自打開以來',
  sessionValue: { other: '幫助了 {n} 人，傳送 {up}，接收 {down}' },
  censoredTitle: '您自己需要橋嗎？',
  censored:
    '您似乎在{country}，那裡的人用本網路閱讀被封鎖的網頁。這個開關是用來幫助別人的，它會讓陌生人看到您' +
    '的位址。',
  program: '取得讀者程式',
  anyway: '仍然繼續',
  notNow: '暫時不要',
  coveredTitle: '開關被遮住了',
  covered: '頁面上有東西遮住了開關，因此您的點擊未生效。請稍微捲動，關閉遮擋物，然後重試。',
};
