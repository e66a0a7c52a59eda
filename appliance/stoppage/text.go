package stoppage

// text is the page in one language. The wording is about harm to children and about help, never about the visitor:
// coming to the page is no evidence of anything, and it says so.
type text struct {
	Code, Dir, Name string // BCP 47 code, direction, and the language's own name
	Title           string
	Why             string // what happened
	NotYou          string // what it does not mean
	WhatHead, What  string // what the material is
	LegalHead       string // on what basis
	Law, Voluntary  string
	ListHead, List  string // who keeps the list
	About           string // text of the link to the implementer
	WrongHead       string // how to complain; the contact follows
	Wrong           string
	ReportHead      string // where to report: with a link that follows, and without one
	Report, Tell    string
	HelpHead        string // where to get help: with a link that follows, and without one
	Help, Ask       string
	Danger          string
}

// texts are the six languages of the United Nations, in the order of a page whose Config names none.
var texts = []text{
	{
		Code: "en", Dir: "ltr", Name: "English",
		Title:      "This address is blocked",
		Why:        "Your network operator stopped this request because the address is on a list of child sexual abuse material.",
		NotYou:     "Coming here says nothing about you: a mistyped address, a link or an error can lead here. This page keeps no record of your visit.",
		WhatHead:   "What the material is",
		What:       "It shows the sexual abuse of children. Children are harmed when it is made, and again each time it is seen.",
		LegalHead:  "Legal basis",
		Law:        "A law, or an order of a court or authority, requires the operator to stop this address.",
		Voluntary:  "The operator stops this address by voluntary agreement.",
		ListHead:   "Who keeps the list",
		List:       "Child-protection hotlines, not the operator. Two people assess each entry, and it ends unless it is confirmed again.",
		About:      "About this block",
		WrongHead:  "How to complain",
		Wrong:      "Is this a mistake, or is it your site? Please tell us; you need not say why you came:",
		ReportHead: "Where to report",
		Report:     "Have you seen such material? Do not pass it on; report it here:",
		Tell:       "Have you seen such material? Do not pass it on; report it to the hotline in your country or to the police.",
		HelpHead:   "Where to get help",
		Help:       "Are you worried about your own thoughts or behaviour, or about someone you know? You can talk to someone in confidence, before anyone is harmed:",
		Ask:        "Are you worried about your own thoughts or behaviour, or about someone you know? A help line or a doctor in your country will listen in confidence, before anyone is harmed.",
		Danger:     "If a child is in danger now, call the police.",
	},
	{
		Code: "fr", Dir: "ltr", Name: "Français",
		Title:      "Cette adresse est bloquée",
		Why:        "Votre opérateur a arrêté cette demande, car l’adresse figure sur une liste de contenus d’abus sexuels sur enfants.",
		NotYou:     "Arriver ici ne dit rien de vous : une faute de frappe, un lien ou une erreur peut y mener. Cette page ne garde aucune trace de votre visite.",
		WhatHead:   "De quels contenus il s’agit",
		What:       "Ils montrent l’abus sexuel d’enfants. Des enfants souffrent quand ils sont produits, puis chaque fois qu’ils sont vus.",
		LegalHead:  "Base juridique",
		Law:        "Une loi, ou une décision d’un tribunal ou d’une autorité, oblige l’opérateur à bloquer cette adresse.",
		Voluntary:  "L’opérateur bloque cette adresse en vertu d’un accord volontaire.",
		ListHead:   "Qui tient la liste",
		List:       "Des services de signalement pour la protection de l’enfance, et non l’opérateur. Deux personnes évaluent chaque entrée, qui prend fin si elle n’est pas confirmée.",
		About:      "À propos de ce blocage",
		WrongHead:  "Comment réclamer",
		Wrong:      "Est-ce une erreur, ou est-ce votre site ? Dites-le-nous, sans devoir expliquer votre visite :",
		ReportHead: "Où signaler",
		Report:     "Vous avez vu de tels contenus ? Ne les transmettez pas ; signalez-les ici :",
		Tell:       "Vous avez vu de tels contenus ? Ne les transmettez pas ; signalez-les au service de votre pays ou à la police.",
		HelpHead:   "Où trouver de l’aide",
		Help:       "Vos pensées ou votre comportement, ou ceux d’un proche, vous inquiètent ? Vous pouvez en parler en toute confidentialité, avant que quelqu’un ne souffre :",
		Ask:        "Vos pensées ou votre comportement, ou ceux d’un proche, vous inquiètent ? Une ligne d’aide ou un médecin vous écoutera en toute confidentialité, avant que quelqu’un ne souffre.",
		Danger:     "Si un enfant est en danger maintenant, appelez la police.",
	},
	{
		Code: "es", Dir: "ltr", Name: "Español",
		Title:      "Esta dirección está bloqueada",
		Why:        "Su operador detuvo esta solicitud porque la dirección figura en una lista de material de abuso sexual infantil.",
		NotYou:     "Llegar aquí no dice nada de usted: un error al escribir, un enlace o un fallo pueden traer aquí. Esta página no guarda ningún registro de su visita.",
		WhatHead:   "Qué es este material",
		What:       "Muestra el abuso sexual de niños y niñas. Sufren daño cuando se produce y de nuevo cada vez que alguien lo ve.",
		LegalHead:  "Base jurídica",
		Law:        "Una ley, o una orden de un tribunal o una autoridad, obliga al operador a bloquear esta dirección.",
		Voluntary:  "El operador bloquea esta dirección por acuerdo voluntario.",
		ListHead:   "Quién mantiene la lista",
		List:       "Líneas de denuncia para la protección de la infancia, no el operador. Dos personas evalúan cada entrada, que termina si no se confirma de nuevo.",
		About:      "Acerca de este bloqueo",
		WrongHead:  "Cómo reclamar",
		Wrong:      "¿Es un error o es su sitio? Díganoslo; no tiene que explicar su visita:",
		ReportHead: "Dónde denunciar",
		Report:     "¿Ha visto material así? No lo reenvíe; denúncielo aquí:",
		Tell:       "¿Ha visto material así? No lo reenvíe; denúncielo a la línea de denuncia de su país o a la policía.",
		HelpHead:   "Dónde encontrar ayuda",
		Help:       "¿Le preocupan sus pensamientos o su conducta, o los de alguien que conoce? Puede hablar con alguien de forma confidencial, antes de que nadie sufra daño:",
		Ask:        "¿Le preocupan sus pensamientos o su conducta, o los de alguien que conoce? Una línea de ayuda o un médico le escuchará de forma confidencial, antes de que nadie sufra daño.",
		Danger:     "Si un niño o una niña está en peligro ahora, llame a la policía.",
	},
	{
		Code: "ar", Dir: "rtl", Name: "العربية",
		Title:      "هذا العنوان محجوب",
		Why:        "أوقف مشغّل شبكتك هذا الطلب لأن العنوان مدرج في قائمة مواد الاعتداء الجنسي على الأطفال.",
		NotYou:     "وصولك إلى هنا لا يعني شيئًا عنك: فقد يؤدي إليه خطأ في الكتابة أو رابط أو خلل. لا تحتفظ هذه الصفحة بأي سجل لزيارتك.",
		WhatHead:   "ما هذه المواد",
		What:       "تُظهر الاعتداء الجنسي على الأطفال. يتأذى الأطفال عند إنتاجها، ويتأذون من جديد كلما شوهدت.",
		LegalHead:  "الأساس القانوني",
		Law:        "يُلزم قانونٌ أو أمرٌ من محكمة أو سلطة المشغّلَ بحجب هذا العنوان.",
		Voluntary:  "يحجب المشغّل هذا العنوان بموجب اتفاق طوعي.",
		ListHead:   "من يدير القائمة",
		List:       "خطوط الإبلاغ لحماية الطفل، وليس المشغّل. يقيّم شخصان كل مدخل، وينتهي ما لم يُؤكَّد من جديد.",
		About:      "عن هذا الحجب",
		WrongHead:  "كيف تعترض",
		Wrong:      "هل هذا خطأ، أم أن الموقع موقعك؟ أخبرنا، ولست مضطرًا إلى ذكر سبب زيارتك:",
		ReportHead: "أين تُبلّغ",
		Report:     "هل رأيت مواد كهذه؟ لا تُعِد إرسالها، وأبلغ عنها هنا:",
		Tell:       "هل رأيت مواد كهذه؟ لا تُعِد إرسالها، وأبلغ عنها خط الإبلاغ في بلدك أو الشرطة.",
		HelpHead:   "أين تجد المساعدة",
		Help:       "هل تقلقك أفكارك أو سلوكك، أو شخص تعرفه؟ يمكنك التحدث إلى شخص ما بسرية قبل أن يتأذى أحد:",
		Ask:        "هل تقلقك أفكارك أو سلوكك، أو شخص تعرفه؟ سيستمع إليك خط مساعدة أو طبيب في بلدك بسرية قبل أن يتأذى أحد.",
		Danger:     "إذا كان طفل في خطر الآن، فاتصل بالشرطة.",
	},
	{
		Code: "ru", Dir: "ltr", Name: "Русский",
		Title:      "Этот адрес заблокирован",
		Why:        "Ваш оператор связи остановил этот запрос: адрес находится в списке материалов о сексуальном насилии над детьми.",
		NotYou:     "Попадание сюда ничего не говорит о вас: причиной может быть опечатка, ссылка или ошибка. Эта страница не сохраняет сведений о вашем посещении.",
		WhatHead:   "Что это за материалы",
		What:       "Они показывают сексуальное насилие над детьми. Дети страдают, когда их создают, и снова — при каждом просмотре.",
		LegalHead:  "Правовое основание",
		Law:        "Закон либо решение суда или органа власти обязывает оператора закрыть этот адрес.",
		Voluntary:  "Оператор закрывает этот адрес по добровольному соглашению.",
		ListHead:   "Кто ведёт список",
		List:       "Горячие линии по защите детей, а не оператор. Каждую запись оценивают два человека; без нового подтверждения она прекращает действовать.",
		About:      "Об этой блокировке",
		WrongHead:  "Как пожаловаться",
		Wrong:      "Это ошибка или это ваш сайт? Сообщите нам; объяснять причину визита не нужно:",
		ReportHead: "Куда сообщить",
		Report:     "Вы видели такие материалы? Не пересылайте их; сообщите здесь:",
		Tell:       "Вы видели такие материалы? Не пересылайте их; сообщите на горячую линию вашей страны или в полицию.",
		HelpHead:   "Где получить помощь",
		Help:       "Вас беспокоят ваши мысли или поведение либо близкий человек? Можно поговорить конфиденциально, пока никто не пострадал:",
		Ask:        "Вас беспокоят ваши мысли или поведение либо близкий человек? Линия помощи или врач выслушает вас конфиденциально, пока никто не пострадал.",
		Danger:     "Если ребёнок сейчас в опасности, звоните в полицию.",
	},
	{
		Code: "zh", Dir: "ltr", Name: "中文",
		Title:      "此网址已被拦截",
		Why:        "您的网络运营商拦截了此请求，因为该网址在儿童性虐待材料名单上。",
		NotYou:     "来到这里并不说明您做了什么：输错网址、点到链接或出现错误都可能导致。本页面不保存您的访问记录。",
		WhatHead:   "这是什么材料",
		What:       "它展示对儿童的性虐待。制作时儿童受到伤害，每次被观看时又再次受到伤害。",
		LegalHead:  "法律依据",
		Law:        "法律，或者法院或主管机关的命令，要求运营商拦截此网址。",
		Voluntary:  "运营商根据自愿协议拦截此网址。",
		ListHead:   "名单由谁维护",
		List:       "由儿童保护热线维护，而不是运营商。每个条目由两人评估，如不再次确认即告失效。",
		About:      "关于此拦截",
		WrongHead:  "如何申诉",
		Wrong:      "这是误拦，或者是您的网站吗？请告诉我们，无需说明访问原因：",
		ReportHead: "在哪里举报",
		Report:     "看到过此类材料吗？请勿转发，请在此举报：",
		Tell:       "看到过此类材料吗？请勿转发，请向您所在国家的热线或警方举报。",
		HelpHead:   "在哪里获得帮助",
		Help:       "您是否担心自己的想法或行为，或者担心您认识的人？在有人受到伤害之前，您可以与人保密交谈：",
		Ask:        "您是否担心自己的想法或行为，或者担心您认识的人？在有人受到伤害之前，您所在国家的求助热线或医生会为您保密倾听。",
		Danger:     "如果有儿童正处于危险之中，请立即报警。",
	},
}
