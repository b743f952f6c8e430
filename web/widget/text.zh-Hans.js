// @ts-check
/** Chinese, simplified. How a language is added: doc/widget.md. */

/** What is seen at once. */
export const face = {
  dir: 'ltr',
  promise: '您的浏览器将成为一座安全的桥，帮助想要自由获取信息的人。',
  off: '已关闭。打开开关即可帮助他人。',
  starting: '正在启动…',
  waiting: '正在等待需要桥的人',
  carrying: { other: '正在帮助 {n} 人' },
  trouble: '无法连接网络，正在重试…',
  unable: '此浏览器无法提供帮助：WebRTC 或 WebAssembly 已关闭。',
  pausedVisitor: '已暂停',
  pausedBudget: '已暂停：本月流量已用完',
  pausedHours: '已暂停，等待您设定的时段',
  pausedMetered: '已暂停：当前连接按流量计费',
  pausedBattery: '已暂停：电量不足',
  elsewhere: '桥在单独的小窗口中运行',
  connected: '有新的人连接：{country}',
  connectedSomewhere: '有新的人连接',
  helped: '已帮助',
  carried: '已传送',
  speed: '速度',
  risks: '工作原理与风险',
  settings: '设置',
  details: '详情',
  idle: '为什么没有人连接？',
  info: '关于本项目',
  donate: '捐款',
};

/** What is behind the links. */
export const panels = {
  back: '返回',
  about1:
    '只要开关打开且此页面未关闭，您的浏览器就会为身处封锁自由媒体的国家的人转发加密数据。关闭页面或' +
    '关掉开关，一切即停止。',
  about2:
    '您看不到也无法改动他们阅读的内容：数据在他们的设备与我们的服务器之间是密封的。网站由我们的服务器' +
    '访问，绝不会经由您的连接访问。',
  about3:
    '就像视频通话一样，您的网络地址会被您帮助的人看到，也会被监视其连接的人看到。如果这在您所在的地方' +
    '可能给您带来危险，请不要打开开关。',
  about4: '它会使用您的上传和下载流量；如果按流量付费，两者都会计入。您可以设置上限。',
  about5:
    '不安装任何东西，除您之外没有人能打开它。您的设置和两个数字（帮助的人数和传送的数据量）只保存在此' +
    '浏览器中。',
  rate: '最高速度',
  unlimited: '不限',
  people: '同时帮助的人数',
  budget: '每月最多流量',
  used: '本月已用 {used}，共 {budget}',
  hours: '仅在特定时段',
  from: '从',
  to: '到',
  metered: '按流量计费的连接也使用',
  battery: '电量不足时也继续',
  keep: '在此网站继续帮助',
  keepHint: '下次访问时会自动打开。',
  leave: '离开后继续帮助',
  leaveHint: '打开一个小窗口，关闭此页面后仍会继续。',
  idle1: '还没有需要桥的人被分配给您。请保持开关打开：可能要等几秒，也可能几小时，您不需要付出什么。',
  idleOff: '开关已关闭。',
  connection: '您的连接',
  natUnknown: '尚未测试。打开开关后会进行测试。',
  natEasy: '良好：几乎所有人都能连接到您。',
  natHard: '您的路由器只让少数人通过。您仍可帮助其中一些人，只是要等得更久。',
  place: '网络看到的您所在的国家或地区',
  last: '最近的问题',
  none: '无',
  unreachable: '网络没有应答。',
  files: '程序的一部分无法获取。',
  garbage: '网络发来了无法理解的内容。',
  version: '网络使用了更新的版本。请重新加载页面。',
  egress: '出现了不属于本网络的服务器，已拒绝。',
  flood: '同时到来的请求过多，其余已拒绝。',
  silent: '有人被告知要来，却没有出现。',
  oversized: '一条消息过长，已丢弃。',
  udp: '此网络不允许通话（UDP 被封锁）。换一个连接也许可行。',
  session: '自打开以来',
  sessionValue: { other: '帮助了 {n} 人，发送 {up}，接收 {down}' },
  censoredTitle: '您自己需要桥吗？',
  censored:
    '您似乎在{country}，那里的人用本网络阅读被封锁的网页。这个开关是用来帮助别人的，它会让陌生人看到您' +
    '的地址。',
  program: '获取读者程序',
  anyway: '仍然继续',
  notNow: '暂时不要',
  coveredTitle: '开关被遮住了',
  covered: '页面上有东西遮住了开关，因此您的点击未生效。请稍微滚动，关闭遮挡物，然后重试。',
};
