"""The words for the titles, names and descriptions of the demo bookshop.

Names hold only letters of ISO-8859-1, so that any book can be served in any charset of the shop.
Titles that need more letters are listed separately.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Department:
    """A department of the shop and the vocabulary of its books."""

    name: str
    title: str
    blurb: str
    categories: tuple[str, ...]
    books: int
    """The number of its books, including those that no crawl may see."""
    patterns: tuple[str, ...]
    """The forms of a title. `{a}` is an adjective, `{n}` and `{m}` are nouns."""
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    special_titles: tuple[str, str, str]
    """The titles for the page in windows-1252, the one in ISO-8859-1, and one that needs UTF-8."""


DEPARTMENTS = (
    Department(
        name="fiction",
        title="Fiction",
        blurb="Novels, crime and short stories, old and new.",
        categories=("novels", "crime", "short-stories", "fantasy", "poetry"),
        books=270,
        patterns=("The {a} {n}", "{n} and {m}", "One {a} {n}", "The {n} of the {m}"),
        adjectives=(
            *("Silent", "Borrowed", "Amber", "Second", "Crooked", "Unwritten", "Winter", "Hollow"),
            *("Patient", "Last", "Paper", "Distant"),
        ),
        nouns=(
            *("Lighthouse", "Orchard", "Letter", "Tenant", "Harbour", "Clockmaker", "Garden"),
            *("Witness", "Violin", "Staircase", "Stranger", "River", "Mirror", "Ferryman"),
            *("Inheritance", "Cellar"),
        ),
        special_titles=(
            "Cœur d’été – “un roman” à 5 €",
            "Die Bäckerin von Köln",
            "Преступление и наказание",
        ),
    ),
    Department(
        name="science",
        title="Science",
        blurb="From quarks to glaciers, explained by those who measure them.",
        categories=("physics", "biology", "mathematics", "astronomy"),
        books=260,
        patterns=(
            "{a} {n}",
            "An Introduction to {a} {n}",
            "{n}: The {a} View",
            "The {a} {n} Reader",
        ),
        adjectives=(
            *("Statistical", "Molecular", "Quantum", "Applied", "Practical", "Modern", "Nonlinear"),
            *("Comparative", "Observational", "Discrete", "Visual", "Theoretical"),
        ),
        nouns=(
            *("Mechanics", "Genetics", "Topology", "Optics", "Ecology", "Cosmology", "Geometry"),
            *("Chemistry", "Neuroscience", "Algebra", "Botany", "Seismology", "Thermodynamics"),
            *("Oceanography", "Probability", "Evolution"),
        ),
        special_titles=(
            "Schrödinger’s Cat – “alive…” ‡",
            "Théorie générale des équations",
            "∑∞ Σειρές και ολοκληρώματα",
        ),
    ),
    Department(
        name="history",
        title="History",
        blurb="Empires, towns and the people who kept the accounts.",
        categories=("ancient", "medieval", "modern", "biography", "maritime"),
        books=255,
        patterns=("The {a} {n}", "{n} of the {a} Age", "A History of the {a} {n}", "{a} {n}s"),
        adjectives=(
            *("Roman", "Hanseatic", "Venetian", "Forgotten", "Imperial", "Norman", "Persian"),
            *("Baltic", "Bronze", "Early", "Industrial", "Alpine"),
        ),
        nouns=(
            *("Merchant", "Chronicle", "Road", "Parliament", "Fort", "Archive", "Alliance"),
            *("Voyage", "Abbey", "Guild", "Senate", "Siege", "Frontier", "Admiral", "Scribe"),
            *("Ledger",),
        ),
        special_titles=(
            "L’Œuvre de Napoléon – ‘an inventory’",
            "Königsmörder und Schloßherren",
            "Žižka a české války",
        ),
    ),
    Department(
        name="children",
        title="Children",
        blurb="Picture books, first readers and stories for the back of the car.",
        categories=("picture-books", "first-readers", "adventure", "animals"),
        books=245,
        patterns=(
            "The {a} {n}",
            "{n} and the {a} {m}",
            "Where Is the {a} {n}?",
            "{a} {n}, {a} {m}",
        ),
        adjectives=(
            *("Sleepy", "Little", "Purple", "Hungry", "Brave", "Wobbly", "Tiny", "Noisy"),
            *("Curious", "Upside-Down", "Forgetful", "Sparkling"),
        ),
        nouns=(
            *("Badger", "Dragon", "Teapot", "Owl", "Submarine", "Giraffe", "Moon", "Penguin"),
            *("Pirate", "Snail", "Balloon", "Hedgehog", "Tractor", "Robot", "Elephant", "Sock"),
        ),
        special_titles=(
            "Zoë’s Žebra™ says “Hello…”",
            "El niño y el pingüino",
            "となりのトトロと🐈",
        ),
    ),
    Department(
        name="travel",
        title="Travel",
        blurb="Guides and journals for trains, boats and stout shoes.",
        categories=("europe", "asia", "americas", "walking", "railways"),
        books=240,
        patterns=("{a} {n}s", "The {a} {n}", "A Guide to {a} {n}s", "{n}s and {m}s by Night Train"),
        adjectives=(
            *("Nordic", "Andean", "Hidden", "Tuscan", "Coastal", "Remote", "Adriatic", "Highland"),
            *("Slow", "Mongolian", "Iberian", "Southern"),
        ),
        nouns=(
            *("Island", "Trail", "Harbour", "Valley", "Railway", "Village", "Bay", "Market"),
            *("Gorge", "Canal", "Castle", "Vineyard", "Bridge", "Lake", "Desert", "Station"),
        ),
        special_titles=(
            "Côte d’Azur für 50 € – “gründlich”",
            "São João à beira-mar",
            "Ísland & Føroyar – Ταξίδι 北欧",
        ),
    ),
)

FIRST_NAMES = (
    *("Agnes", "Bruno", "Clara", "Dorothy", "Edmund", "Frédéric", "Greta", "Henrik", "Inès"),
    *("Jonas", "Katharina", "Leopold", "María", "Nils", "Olive", "Pär", "Ruth", "Søren"),
    *("Thea", "Ursula", "Victor", "Wilma", "Yara", "Zacharias"),
)
LAST_NAMES = (
    *("Abbott", "Bergström", "Castellanos", "Dufrêne", "Ellery", "Fairweather", "González"),
    *("Hartmann", "Ibsen", "Jæger", "Kowalski", "Lindqvist", "Müller", "Norwood", "O'Hara"),
    *("Pemberton", "Quayle", "Rossi", "Sánchez", "Thornton", "Underhill", "Visser"),
    *("Whitlock", "Ziegler"),
)
SENTENCES = (
    "A book for long evenings, and one of those that are lent and never come back.",
    "The author spent eleven years on it, four of them in archives and one in a rowing boat.",
    "Critics praised its patience; readers mostly praise the maps on the endpapers.",
    "This edition has been revised throughout and carries a new preface.",
    "It begins with a knock at the door and ends, as it must, at the station.",
    "The illustrations were cut in pear wood and printed in two colours.",
    "Nobody who has read the third chapter will ever look at a kitchen table the same way.",
    "With an index, a glossary, and an honest list of what is still unknown.",
    "Winner of the booksellers' quiet prize for the best second half.",
    "The translation keeps the jokes, which was thought to be impossible.",
    "Our staff have sold it to each other for years and now sell it to you.",
    "Each chapter stands by itself, so that it may be read on trains.",
    "A companion volume has been announced; we would not wait for it.",
    "Printed on paper that stays white, and bound so that it lies flat.",
    "Recommended for anyone who has ever missed a ferry.",
    "The second edition corrects the first, whose errata had become collectable.",
)
