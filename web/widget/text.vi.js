// @ts-check
/** Vietnamese. How a language is added: doc/widget.md. */

/** What is seen at once. */
export const face = {
  dir: 'ltr',
  promise:
    'Trình duyệt của bạn trở thành cây cầu an toàn cho những người muốn tự do tiếp cận thông ' +
    'tin.',
  short: 'Trình duyệt của bạn thành cầu nối cho người bị chặn.',
  off: 'Đang tắt. Gạt công tắc để giúp.',
  starting: 'Đang bắt đầu…',
  waiting: 'Đang chờ người cần một cây cầu',
  carrying: { other: 'Đang giúp {n} người' },
  trouble: 'Không kết nối được với mạng. Đang thử lại…',
  unable: 'Trình duyệt này không thể giúp: WebRTC hoặc WebAssembly đã bị tắt.',
  helped: 'Đã giúp',
  carried: 'Đã chuyển',
  speed: 'Tốc độ',
  globe: 'Quả địa cầu',
  risks: 'Cách hoạt động và rủi ro',
  settings: 'Cài đặt',
  details: 'Chi tiết',
  idle: 'Vì sao chưa có ai?',
  info: 'Về dự án này',
  donate: 'Quyên góp',
};

/** What is behind the links, or not seen at first. */
export const panels = {
  pausedVisitor: 'Đã tạm dừng',
  pausedBudget: 'Tạm dừng: đã dùng hết dữ liệu tháng này',
  pausedHours: 'Tạm dừng đến giờ bạn đã đặt',
  pausedMetered: 'Tạm dừng: kết nối này tính phí dữ liệu',
  pausedBattery: 'Tạm dừng: pin yếu',
  elsewhere: 'Cây cầu đang ở trong cửa sổ nhỏ riêng',
  connected: 'Có người mới kết nối: {country}',
  connectedSomewhere: 'Có người mới kết nối',
  back: 'Quay lại',
  about1:
    'Khi công tắc bật và trang này đang mở, trình duyệt của bạn chuyển tiếp dữ liệu đã mã ' +
    'hóa cho những người ở các nước chặn báo chí tự do. Đóng trang hoặc gạt công tắc là dừng.',
  about2:
    'Bạn không thể xem hay thay đổi những gì họ đọc: dữ liệu được niêm phong giữa thiết bị ' +
    'của họ và máy chủ của chúng tôi. Các trang web được truy cập từ máy chủ của chúng tôi, ' +
    'không bao giờ từ kết nối của bạn.',
  about3:
    'Địa chỉ internet của bạn sẽ hiện ra với những người bạn giúp, như trong cuộc gọi video, ' +
    'và với bất kỳ ai theo dõi kết nối của họ. Nếu điều đó có thể gây nguy hiểm ở nơi bạn ' +
    'sống, hãy để công tắc tắt.',
  about4:
    'Nó dùng cả dữ liệu tải lên và tải xuống của bạn; nếu bạn trả tiền theo dung lượng, cả ' +
    'hai đều tính. Bạn có thể đặt giới hạn.',
  about5:
    'Không cài đặt gì cả, và không ai ngoài bạn có thể bật nó. Cài đặt của bạn và hai con ' +
    'số, số người đã giúp và dữ liệu đã chuyển, chỉ được lưu trong trình duyệt này.',
  rate: 'Tốc độ tối đa',
  unlimited: 'Không giới hạn',
  people: 'Số người cùng lúc',
  budget: 'Dữ liệu tối đa mỗi tháng',
  used: 'Tháng này đã dùng {used} trên {budget}',
  hours: 'Chỉ trong giờ nhất định',
  from: 'Từ',
  to: 'Đến',
  metered: 'Cả khi kết nối tính phí dữ liệu',
  battery: 'Cả khi pin yếu',
  keep: 'Tiếp tục giúp trên trang này',
  keepHint: 'Lần sau bạn ghé, nó tự bật.',
  leave: 'Tiếp tục giúp sau khi tôi rời đi',
  leaveHint: 'Mở một cửa sổ nhỏ vẫn chạy sau khi đóng trang này.',
  idle1:
    'Chưa có ai cần cầu được gửi đến bạn. Hãy để công tắc bật: có thể chờ vài giây hoặc vài ' +
    'giờ, và bạn không mất gì.',
  idleOff: 'Công tắc đang tắt.',
  connection: 'Kết nối của bạn',
  natUnknown: 'Chưa kiểm tra. Việc kiểm tra diễn ra khi công tắc bật.',
  natEasy: 'Tốt: hầu như ai cũng có thể kết nối với bạn.',
  natHard:
    'Bộ định tuyến của bạn chỉ cho ít người qua. Bạn vẫn giúp được một số người, nhưng chờ ' +
    'lâu hơn.',
  place: 'Quốc gia của bạn, theo mạng',
  last: 'Sự cố gần nhất',
  none: 'Không có',
  unreachable: 'Mạng không trả lời.',
  files: 'Không tải được một phần của chương trình.',
  garbage: 'Mạng gửi điều gì đó vô nghĩa.',
  version: 'Mạng dùng phiên bản mới hơn. Hãy tải lại trang.',
  egress: 'Một máy chủ không thuộc mạng được nêu tên. Nó đã bị từ chối.',
  flood: 'Quá nhiều yêu cầu cùng lúc. Phần còn lại bị từ chối.',
  silent: 'Có người được báo trước nhưng không đến.',
  oversized: 'Một thông điệp quá dài. Nó đã bị bỏ.',
  udp: 'Mạng này không cho cuộc gọi qua (UDP bị chặn). Kết nối khác có thể được.',
  session: 'Từ khi bạn bật',
  sessionValue: { other: 'Đã giúp {n} người, gửi {up}, nhận {down}' },
  censoredTitle: 'Chính bạn cần một cây cầu?',
  censored:
    'Có vẻ bạn đang ở {country}, nơi mạng này được dùng để đọc các trang bị chặn. Công tắc ' +
    'này là để giúp người khác, và nó để lộ địa chỉ của bạn cho người lạ.',
  program: 'Tải chương trình cho người đọc',
  reader1:
    'Chương trình tên là Footbridge. Nó chạy trên máy tính của bạn và đưa trình duyệt của ' +
    'bạn qua những cây cầu của người ở nơi khác, được niêm phong để họ không đọc được.',
  reader2:
    'Bạn cần chương trình và một liên kết tham gia, bắt đầu bằng “footbridge:”. Cả hai đến ' +
    'từ những người vận hành mạng này, hoặc người bạn tin cậy. Nếu kết nối của bạn có thể bị ' +
    'theo dõi, đừng tìm chúng ở đó.',
  anyway: 'Vẫn tiếp tục',
  notNow: 'Để sau',
  covered:
    'Có thứ gì đó trên trang này che công tắc, nên cú nhấp của bạn không được tính. Hãy cuộn ' +
    'một chút, đóng thứ đang che và thử lại.',
  confirm: 'Bạn có muốn giúp không?',
  confirmText:
    'Trang bạn vừa xem xin dùng trình duyệt của bạn làm cây cầu. Địa chỉ internet của bạn sẽ ' +
    'hiện ra với những người bạn giúp. Với trang này, bạn chỉ được hỏi một lần.',
  confirmYes: 'Có, tôi muốn giúp',
  confirmApart:
    'Trang đó tách biệt với cửa sổ này, nên bạn chỉ có thể giúp từ đây. Hãy để cửa sổ này mở ' +
    'trong khi giúp.',
  confirmHere: 'Giúp trong cửa sổ này',
  asks: 'Một cửa sổ nhỏ sẽ hỏi bạn thêm một lần. Nếu không thấy mở, trình duyệt đã chặn nó.',
};

/** What the extension says instead. */
export const extension = {
  about1Extension:
    'Khi công tắc bật và trình duyệt đang chạy, trình duyệt chuyển tiếp dữ liệu đã mã hóa ' +
    'cho những người ở các nước chặn báo chí tự do. Gạt công tắc là dừng. Khi trình duyệt ' +
    'mở lại, công tắc vẫn như bạn đã để.',
  about5Extension:
    'Không trang web nào và không ai ngoài bạn có thể bật nó. Cài đặt của bạn và hai con ' +
    'số, số người đã giúp và dữ liệu đã chuyển, chỉ được lưu trong trình duyệt này.',
  versionExtension: 'Mạng dùng phiên bản mới hơn. Hãy cập nhật tiện ích này.',
};
