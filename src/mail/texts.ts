/** The words of one e-mail in one language. Every text is Liquid over the job's data. */
export interface MailTexts {
  readonly subject: string;
  readonly heading: string;
  /** Paragraphs before the facts. */
  readonly opening: readonly string[];
  /** Label and value; one whose value comes out empty is left out. */
  readonly facts: readonly (readonly [label: string, value: string])[];
  /** Shown when `url` comes out as a web address. */
  readonly action: { readonly label: string; readonly url: string } | null;
  /** Paragraphs after the facts. */
  readonly closing: readonly string[];
}

export const MAIL_TEMPLATES = ['booking_confirmation', 'booking_cancelled', 'salon_welcome', 'password_reset'] as const;
export type MailTemplate = (typeof MAIL_TEMPLATES)[number];

export const MAIL_LOCALES = ['en', 'de', 'ar'] as const;
export type MailLocale = (typeof MAIL_LOCALES)[number];

/** What a template cannot do without. */
export const REQUIRED_DATA: Readonly<Record<MailTemplate, readonly string[]>> = {
  booking_confirmation: ['serviceName', 'serviceDate'],
  booking_cancelled: ['serviceName', 'serviceDate'],
  salon_welcome: ['salonName'],
  password_reset: ['resetUrl'],
};

const bookingFacts = (service: string, when: string, withWhom: string, where: string, comma = ', ') =>
  [
    [service, '{{ serviceName }}'],
    [when, '{{ serviceDate | moment }}'],
    [withWhom, '{{ staffName }}'],
    [where, `{{ salonName }}{% if salonName and salonAddress %}${comma}{% endif %}{{ salonAddress }}`],
  ] as const;

const en: Readonly<Record<MailTemplate, MailTexts>> = {
  booking_confirmation: {
    subject: 'Your booking: {{ serviceName }}, {{ serviceDate | moment }}',
    heading: 'Your booking is confirmed',
    opening: [
      '{% if customerName %}Hello {{ customerName }},{% else %}Hello,{% endif %}',
      'We look forward to seeing you.',
    ],
    facts: bookingFacts('What', 'When', 'With', 'Where'),
    action: { label: 'Change or cancel', url: '{{ manageUrl }}' },
    closing: ['If you cannot come, please tell us in good time.'],
  },
  booking_cancelled: {
    subject: 'Cancelled: {{ serviceName }}, {{ serviceDate | moment }}',
    heading: 'Your booking is cancelled',
    opening: [
      '{% if customerName %}Hello {{ customerName }},{% else %}Hello,{% endif %}',
      'This booking will not take place.{% if reason %} Reason: {{ reason }}{% endif %}',
    ],
    facts: bookingFacts('What', 'When', 'With', 'Where'),
    action: { label: 'Book another time', url: '{{ bookingUrl }}' },
    closing: ['You need not do anything.'],
  },
  salon_welcome: {
    subject: 'Welcome, {{ salonName }}',
    heading: 'Welcome, {{ salonName }}',
    opening: [
      '{% if customerName %}Hello {{ customerName }},{% else %}Hello,{% endif %}',
      'Your account is ready. From now on your customers get their confirmations and reminders by themselves.',
    ],
    facts: [['Sign in as', '{{ email }}']],
    action: { label: 'Open your account', url: '{{ dashboardUrl }}' },
    closing: ['Questions? Just answer this e-mail.'],
  },
  password_reset: {
    subject: 'Choose a new password',
    heading: 'Choose a new password',
    opening: [
      '{% if customerName %}Hello {{ customerName }},{% else %}Hello,{% endif %}',
      'Somebody, probably you, asked for a new password.',
    ],
    facts: [],
    action: { label: 'Choose a password', url: '{{ resetUrl }}' },
    closing: [
      '{% if expiresInMinutes %}The link works once, for {{ expiresInMinutes }} minutes.{% else %}The link works once.{% endif %}',
      'If it was not you, do nothing: your password stays as it is.',
    ],
  },
};

const greetingDe = '{% if customerName %}Guten Tag {{ customerName }},{% else %}Guten Tag,{% endif %}';
const de: Readonly<Record<MailTemplate, MailTexts>> = {
  booking_confirmation: {
    subject: 'Ihr Termin: {{ serviceName }}, {{ serviceDate | moment }}',
    heading: 'Ihr Termin ist bestätigt',
    opening: [greetingDe, 'wir freuen uns auf Sie.'],
    facts: bookingFacts('Was', 'Wann', 'Bei', 'Wo'),
    action: { label: 'Ändern oder absagen', url: '{{ manageUrl }}' },
    closing: ['Wenn Sie nicht kommen können, sagen Sie uns bitte rechtzeitig Bescheid.'],
  },
  booking_cancelled: {
    subject: 'Abgesagt: {{ serviceName }}, {{ serviceDate | moment }}',
    heading: 'Ihr Termin ist abgesagt',
    opening: [greetingDe, 'dieser Termin findet nicht statt.{% if reason %} Grund: {{ reason }}{% endif %}'],
    facts: bookingFacts('Was', 'Wann', 'Bei', 'Wo'),
    action: { label: 'Neuen Termin wählen', url: '{{ bookingUrl }}' },
    closing: ['Sie müssen nichts weiter tun.'],
  },
  salon_welcome: {
    subject: 'Willkommen, {{ salonName }}',
    heading: 'Willkommen, {{ salonName }}',
    opening: [
      greetingDe,
      'Ihr Konto ist bereit. Ab jetzt bekommen Ihre Kunden Bestätigungen und Erinnerungen von selbst.',
    ],
    facts: [['Anmelden als', '{{ email }}']],
    action: { label: 'Konto öffnen', url: '{{ dashboardUrl }}' },
    closing: ['Fragen? Antworten Sie einfach auf diese E-Mail.'],
  },
  password_reset: {
    subject: 'Neues Passwort wählen',
    heading: 'Neues Passwort wählen',
    opening: [greetingDe, 'jemand, vermutlich Sie, hat ein neues Passwort angefordert.'],
    facts: [],
    action: { label: 'Passwort wählen', url: '{{ resetUrl }}' },
    closing: [
      '{% if expiresInMinutes %}Der Link gilt einmal und {{ expiresInMinutes }} Minuten lang.{% else %}Der Link gilt einmal.{% endif %}',
      'Waren Sie es nicht, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist.',
    ],
  },
};

const greetingAr = '{% if customerName %}مرحبًا {{ customerName }}،{% else %}مرحبًا،{% endif %}';
const ar: Readonly<Record<MailTemplate, MailTexts>> = {
  booking_confirmation: {
    subject: 'حجزك: {{ serviceName }}، {{ serviceDate | moment }}',
    heading: 'تم تأكيد حجزك',
    opening: [greetingAr, 'نتطلع إلى رؤيتك.'],
    facts: bookingFacts('الخدمة', 'الموعد', 'مع', 'المكان', '، '),
    action: { label: 'تعديل الحجز أو إلغاؤه', url: '{{ manageUrl }}' },
    closing: ['إذا تعذّر عليك الحضور، يُرجى إبلاغنا مسبقًا.'],
  },
  booking_cancelled: {
    subject: 'تم الإلغاء: {{ serviceName }}، {{ serviceDate | moment }}',
    heading: 'تم إلغاء حجزك',
    opening: [greetingAr, 'لن يتم هذا الموعد.{% if reason %} السبب: {{ reason }}{% endif %}'],
    facts: bookingFacts('الخدمة', 'الموعد', 'مع', 'المكان', '، '),
    action: { label: 'احجز موعدًا آخر', url: '{{ bookingUrl }}' },
    closing: ['لا يلزمك القيام بأي شيء.'],
  },
  salon_welcome: {
    subject: 'أهلًا بك، {{ salonName }}',
    heading: 'أهلًا بك، {{ salonName }}',
    opening: [greetingAr, 'حسابك جاهز. من الآن تصل التأكيدات والتذكيرات إلى عملائك تلقائيًا.'],
    facts: [['الدخول باسم', '{{ email }}']],
    action: { label: 'افتح حسابك', url: '{{ dashboardUrl }}' },
    closing: ['هل لديك سؤال؟ ما عليك سوى الرد على هذه الرسالة.'],
  },
  password_reset: {
    subject: 'اختر كلمة مرور جديدة',
    heading: 'اختر كلمة مرور جديدة',
    opening: [greetingAr, 'طلب أحدهم، وعلى الأرجح أنت، كلمة مرور جديدة.'],
    facts: [],
    action: { label: 'اختر كلمة المرور', url: '{{ resetUrl }}' },
    closing: [
      '{% if expiresInMinutes %}يعمل الرابط مرة واحدة ولمدة {{ expiresInMinutes }} دقيقة.{% else %}يعمل الرابط مرة واحدة.{% endif %}',
      'إن لم تكن أنت، فلا تفعل شيئًا: تبقى كلمة مرورك كما هي.',
    ],
  },
};

export const MAIL_TEXTS: Readonly<Record<MailLocale, Readonly<Record<MailTemplate, MailTexts>>>> = { en, de, ar };
