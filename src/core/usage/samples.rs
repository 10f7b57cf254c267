//! Texts whose true counts are known: written for these tests, counted with two tokenizers that
//! share no code with the one in use, the npm packages gpt-tokenizer 4.0.0 and js-tiktoken 1.0.21,
//! which agree on each.

/// A text and its tokens in o200k and in cl100k.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) o200k: u64,
    pub(super) cl100k: u64,
}

pub(super) const SAMPLES: [Sample; 17] = [
    Sample {
        name: "English",
        text: r#"The harbour master kept two clocks on his wall: one for the tide, and one for the trains. On most mornings they agreed about nothing. "We're late again," he'd say, tapping the glass of the second one, and then he would walk down the 214 steps to the quay, where nobody had ever been late for anything. In 1987 the railway closed; the clock was left running, because it seemed rude to stop it."#,
        o200k: 90,
        cl100k: 93,
    },
    Sample {
        name: "German",
        text: r"Wer die Überlandleitung bei Höhenstufe drei prüft, braucht vor allem Geduld: Zwischen den Mastfüßen wachsen Brombeeren, und die Genehmigungsbehörde antwortet frühestens nach sechs Wochen. Trotzdem möchte Frau Größmann den Abschnitt bis Ende März fertigstellen. „Das schaffen wir“, sagt sie, „wenn der Boden nicht wieder gefriert.“",
        o200k: 75,
        cl100k: 95,
    },
    Sample {
        name: "French",
        text: r"À la fin de l'été, l'atelier sentait encore la colle et le bois coupé. Nous avions réparé dix-sept chaises, deux armoires et un vieux métier à tisser dont personne n'osait plus s'approcher. « Ça tiendra bien cent ans », disait mon oncle, qui n'avait jamais su compter au-delà de ses propres étés.",
        o200k: 79,
        cl100k: 93,
    },
    Sample {
        name: "Spanish",
        text: r"El tren nocturno salía a las once y media, pero nadie recordaba haberlo visto llegar. La taquillera vendía los billetes con una sonrisa cansada: «Mañana será otro día, señor». Y así, durante años, la estación se fue llenando de viajeros pacientes, de maletas pequeñas y de un silencio que olía a naranjas.",
        o200k: 78,
        cl100k: 90,
    },
    Sample {
        name: "Russian",
        text: r"Каждую весну река поднималась до третьей ступеньки, и старый лодочник записывал число в тетрадь. За сорок лет набралось девять тетрадей, но никто, кроме внучки, их не читал. Она заметила, что вода приходит теперь на две недели раньше, и отправила письмо в город. Ответа пока нет.",
        o200k: 84,
        cl100k: 139,
    },
    Sample {
        name: "Greek",
        text: r"Το καφενείο άνοιγε πριν χαράξει, όταν οι ψαράδες γύριζαν με τα δίχτυα βρεγμένα. Ο Μανόλης σέρβιρε πάντα τον ίδιο καφέ και έλεγε την ίδια ιστορία, αλλά κάθε φορά το ψάρι ήταν λίγο μεγαλύτερο.",
        o200k: 70,
        cl100k: 175,
    },
    Sample {
        name: "Chinese",
        text: r"村口的老槐树比任何一户人家都来得早。夏天的傍晚，大家搬着竹椅坐在树下，谈论收成、天气和谁家的孩子考上了大学。后来修了公路，年轻人一个接一个地走了，树却越长越高。去年秋天，有人在树干上挂了一块牌子，写着：“请勿攀爬，树龄三百二十年。”",
        o200k: 105,
        cl100k: 152,
    },
    Sample {
        name: "Japanese",
        text: r"駅前の小さな時計店には、動かない時計ばかりが並んでいる。店主の話では、直せないのではなく、持ち主が迎えに来るのを待っているのだそうだ。ある雨の日、傘を持たない女の子が入ってきて、「この時計は何時ですか」とたずねた。店主は少し考えて、「あなたが決めていい時間です」と答えた。",
        o200k: 108,
        cl100k: 135,
    },
    Sample {
        name: "Korean",
        text: r"겨울이 오기 전에 할머니는 마당에 작은 구덩이를 파고 김장독을 묻으셨다. 이웃들이 모여 배추를 나르고, 아이들은 매운 손가락을 빨며 웃었다. 지금은 아파트에 살지만, 첫눈이 내리면 아직도 그 흙냄새가 난다.",
        o200k: 79,
        cl100k: 123,
    },
    Sample {
        name: "Arabic",
        text: r"في كل صباح كان بائع الكتب يفتح صندوقه الخشبي على الرصيف ويرتب المجلدات حسب ألوانها لا حسب مؤلفيها. سألته مرة عن السبب فقال مبتسما: الناس ينسون الأسماء، لكنهم يتذكرون اللون الذي رأوه في طفولتهم. اشتريت منه يومها كتابا أزرق ولم أقرأه حتى الآن.",
        o200k: 84,
        cl100k: 178,
    },
    Sample {
        name: "Hindi",
        text: r"पहाड़ी गाँव की डाकिया अब साइकिल से नहीं, बल्कि पैदल चलती है क्योंकि पुल पिछले मानसून में बह गया था। हर चिट्ठी को वह कपड़े में लपेटकर रखती है ताकि नमी न लगे। बच्चे दूर से ही उसकी घंटी पहचान लेते हैं और दौड़कर पूछते हैं कि आज किसके नाम की खबर आई है।",
        o200k: 80,
        cl100k: 253,
    },
    Sample {
        name: "Thai",
        text: r"ตลาดริมน้ำเปิดตั้งแต่ตีห้า แม่ค้าพายเรือมาพร้อมผักสดและขนมห่อใบตอง นักท่องเที่ยวมาถึงตอนสายก็มักจะไม่ทันขนมหวานของป้าสมใจ",
        o200k: 57,
        cl100k: 113,
    },
    Sample {
        name: "Emoji",
        text: r"Moving day! 🚚📦 Left the 🔑 under the mat, fed the 🐈 twice, and yes — the piano is still stuck in the stairwell 😅👍🏽 #day1",
        o200k: 42,
        cl100k: 47,
    },
    Sample {
        name: "Rust",
        text: r"/// Splits a window into whole hours and the two edges around them.
fn split(window: Range<i64>) -> (Range<i64>, [Range<i64>; 2]) {
    const HOUR_MS: i64 = 3_600_000;
    let first = window.start.div_euclid(HOUR_MS) + i64::from(window.start % HOUR_MS != 0);
    let last = window.end.div_euclid(HOUR_MS);
    if first >= last {
        return (0..0, [window.clone(), 0..0]);
    }
    (first..last, [window.start..first * HOUR_MS, last * HOUR_MS..window.end])
}
",
        o200k: 147,
        cl100k: 143,
    },
    Sample {
        name: "Python",
        text: r#"class Shelf:
    """Keeps jars in the order in which they were opened."""

    def __init__(self, jars=None, *, limit=32):
        self._jars = list(jars or [])
        self.limit = limit

    def open(self, label: str) -> bool:
        if len(self._jars) >= self.limit:
            raise OverflowError(f"no room for {label!r}")
        self._jars.append((label, time.monotonic()))
        return any(name == label for name, _ in self._jars[:-1])
"#,
        o200k: 119,
        cl100k: 119,
    },
    Sample {
        name: "JSON",
        text: r#"{"orders":[{"id":"ord_00917","placed_at":"2026-03-14T09:26:53Z","lines":[{"sku":"TEA-0042","quantity":3,"unit_price_cents":1250},{"sku":"CUP-7","quantity":1,"unit_price_cents":899}],"gift":false,"note":null}],"next_page":"eyJvZmZzZXQiOjUwfQ=="}"#,
        o200k: 96,
        cl100k: 95,
    },
    Sample {
        name: "Markdown",
        text: r"## Release checklist

1. Run `make check` **twice**; the second run must be faster.
2. Update the table below.

| step | who | done |
| ---- | --- | :--: |
| tag  | Ana | [x]  |
| ship | Raj | [ ]  |

> Nothing is shipped on a Friday. See [the log](https://example.org/log?year=2026#march).
",
        o200k: 92,
        cl100k: 93,
    },
];
