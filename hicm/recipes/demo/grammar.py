"""The made-up world of the demo: activities, the events they consist of, and phrases for them.

An activity is a script: its steps occur in order, each with a probability.  A step is a kind of event, and a kind has
several paraphrases, in captions and in speech.  ``{words}`` in braces are slots: their values (which vegetable, which
wood) are chosen once per video and stay the same from step to step.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of event: its captions, speech that goes with it, and the range of its length in seconds."""

    captions: tuple[str, ...]
    speech: tuple[str, ...]
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Activity:
    """What a video shows: the place, the choices for each slot, and the script of (kind, probability)."""

    place: str
    slots: dict[str, tuple[str, ...]]
    script: tuple[tuple[str, float], ...]


KINDS: dict[str, Kind] = {
    # kitchen
    "wash": Kind(("wash the {vegetable} in the sink", "rinse the {vegetable} under cold water",
                  "clean the {vegetable} with water"),
                 ("the {vegetable} must be clean", "cold water first"), (8, 15)),
    "chop": Kind(("chop the {vegetable} on the board", "cut the {vegetable} into small pieces",
                  "slice the {vegetable} with a sharp knife"),
                 ("now we need the {vegetable}", "small pieces are best"), (10, 24)),
    "fry": Kind(("fry the {vegetable} in a hot pan", "cook the {vegetable} with oil in the pan",
                 "brown the {vegetable} in a little oil"),
                ("the pan is hot now", "just a little oil", "look at the {vegetable}"), (12, 26)),
    "boil": Kind(("boil the {staple} in a pot of water", "cook the {staple} in salted water",
                  "let the {staple} simmer in the pot"),
                 ("the water must boil", "that takes a while"), (14, 28)),
    "drain": Kind(("drain the {staple} in the sink", "pour the water off the {staple}"),
                  ("careful it is hot", "look at the {staple}"), (6, 10)),
    "pour": Kind(("pour the {liquid} into the pot", "add the {liquid} to the pot", "fill the pot with {liquid}"),
                 ("now the {liquid}", "all of it goes in"), (6, 12)),
    "season": Kind(("season with salt and {spice}", "add some {spice} and salt", "sprinkle {spice} and salt on top"),
                   ("a bit of {spice}", "taste it first"), (6, 11)),
    "mix": Kind(("mix the {dry} and {wet} in a bowl", "stir the {dry} into the {wet}",
                 "whisk {wet} and {dry} together"),
                ("mix it well", "now the {dry}", "you need {wet} too"), (10, 22)),
    "knead": Kind(("knead the dough by hand", "press and fold the dough on the table"),
                  ("the dough gets soft", "use your hands"), (12, 24)),
    "bake": Kind(("bake the {cake} in the oven", "put the {cake} into the hot oven", "let the {cake} bake until brown"),
                 ("the oven is ready", "do not open the oven"), (12, 26)),
    "dress": Kind(("toss the salad with {dressing}", "pour {dressing} over the salad"),
                  ("now the {dressing}", "mix it well"), (7, 13)),
    "serve": Kind(("serve the {dish} on a plate", "put the {dish} on a white plate",
                   "bring the {dish} to the table"),
                  ("this looks good", "now to the table"), (7, 14)),
    # workshop
    "measure": Kind(("measure the {wood} board with a ruler", "mark a line on the {wood} board",
                     "draw the length on the {wood} with a pencil"),
                    ("measure it first", "we use {wood} today"), (8, 16)),
    "saw": Kind(("saw the {wood} board into pieces", "cut the {wood} along the line with a saw",
                 "saw off the end of the {wood}"),
                ("follow the line", "hold it tight"), (12, 26)),
    "sand": Kind(("sand the {wood} until it is smooth", "smooth the edges with sandpaper",
                  "rub the {wood} with sandpaper"),
                 ("make it smooth", "a lot of dust"), (12, 24)),
    "drill": Kind(("drill two holes into the {part}", "make holes in the {part} with a drill"),
                  ("two holes are enough", "hold it tight"), (8, 16)),
    "glue": Kind(("glue the {part} together", "put glue on the {part} and press", "spread glue on the {part}"),
                 ("not too much glue", "press it down"), (8, 16)),
    "screw": Kind(("fix the {part} with screws", "screw the {part} to the frame",
                   "tighten the screws of the {part}"),
                  ("the screws go here", "the {part} must not move"), (9, 18)),
    "hammer": Kind(("hammer nails into the {part}", "nail the {part} to the frame"),
                   ("now the nails",), (8, 16)),
    "paint": Kind(("paint the {object} {colour}", "brush {colour} paint on the {object}",
                   "give the {object} a coat of {colour} paint"),
                  ("i like {colour}", "let it dry"), (14, 28)),
    "remove": Kind(("take the old {part} off", "remove the broken {part} from the {object}"),
                   ("this one is broken", "the old {part} must go"), (8, 16)),
    "hang": Kind(("hang the {object} on the wall", "put the {object} up on the wall"),
                 ("is it straight", "up it goes"), (8, 15)),
    "show": Kind(("show the finished {object}", "look at the finished {object} from all sides"),
                 ("that is it", "i like it"), (7, 13)),
    # garden
    "dig": Kind(("dig a hole in the soil", "dig up the soil with a spade", "turn the soil over with a spade"),
                ("deep enough", "the soil is heavy"), (12, 24)),
    "rake": Kind(("rake the {bed} flat", "pull the rake over the {bed}", "rake leaves off the {bed}"),
                 ("nice and flat", "now we need a rake"), (10, 20)),
    "weed": Kind(("pull the weeds out of the {bed}", "remove weeds from the {bed} by hand"),
                 ("so many weeds", "get the roots too"), (10, 20)),
    "sow": Kind(("sow {plant} seeds in a row", "drop {plant} seeds into the soil", "spread {plant} seeds on the {bed}"),
                ("not too close", "these are {plant} seeds"), (9, 18)),
    "plant": Kind(("plant the {plant} in the {bed}", "set the {plant} into the hole",
                   "put the young {plant} into the ground"),
                  ("here is the {plant}", "careful with the roots"), (9, 18)),
    "cover": Kind(("cover the roots with soil", "fill the hole with soil and press", "cover everything with compost"),
                  ("press it down", "good compost"), (7, 14)),
    "water": Kind(("water the {plant} with a can", "give the {plant} plenty of water", "spray water on the {bed}"),
                  ("a lot of water", "the {plant} looks dry"), (8, 18)),
    "prune": Kind(("prune the {plant} with shears", "cut dry branches off the {plant}", "trim the {plant} with shears"),
                  ("we need sharp shears",), (10, 22)),
    "pick": Kind(("pick the ripe {fruit} into a basket", "collect the {fruit} in a basket"),
                 ("they are ripe", "a basket full of {fruit}"), (9, 18)),
}

_VEGETABLES = ("carrots", "onions", "tomatoes", "peppers", "mushrooms", "garlic")
_WOOD = ("oak", "pine", "birch")
_COLOURS = ("red", "blue", "green", "white")
_BEDS = ("bed", "lawn")

ACTIVITIES: dict[str, Activity] = {
    "soup": Activity("kitchen",
                     {"vegetable": _VEGETABLES, "liquid": ("broth", "water", "cream"), "spice": ("pepper", "basil"),
                      "dish": ("soup",)},
                     (("wash", .6), ("chop", 1), ("fry", .7), ("pour", 1), ("season", .7), ("serve", .9))),
    "pasta": Activity("kitchen",
                      {"vegetable": _VEGETABLES, "staple": ("noodles", "rice", "potatoes"),
                       "spice": ("pepper", "basil"), "dish": ("dinner",)},
                      (("boil", 1), ("chop", .9), ("fry", 1), ("drain", .6), ("season", .6), ("serve", .8))),
    "cakes": Activity("kitchen",
                      {"dry": ("flour", "sugar"), "wet": ("eggs", "milk", "butter"), "cake": ("bread", "cake", "pie"),
                       "spice": ("cinnamon", "ginger"), "dish": ("slices",)},
                      (("mix", 1), ("knead", .7), ("season", .4), ("bake", 1), ("serve", .8))),
    "salad": Activity("kitchen",
                      {"vegetable": _VEGETABLES, "dressing": ("oil", "vinegar", "lemon"), "spice": ("pepper", "basil"),
                       "dish": ("salad",)},
                      (("wash", .9), ("chop", 1), ("season", .5), ("dress", 1), ("serve", .8))),
    "shelf": Activity("workshop",
                      {"wood": _WOOD, "part": ("boards", "sides"), "object": ("shelf", "box"), "colour": _COLOURS},
                      (("measure", .9), ("saw", 1), ("sand", .7), ("drill", .5), ("screw", .7), ("glue", .4),
                       ("hang", .7))),
    "birds": Activity("workshop",
                      {"wood": _WOOD, "part": ("roof", "walls"), "object": ("birdhouse",), "colour": _COLOURS},
                      (("measure", .6), ("saw", 1), ("glue", .5), ("hammer", .8), ("paint", .9), ("show", .8))),
    "chair": Activity("workshop",
                      {"wood": _WOOD, "part": ("leg", "seat"), "object": ("chair", "stool"), "colour": _COLOURS},
                      (("remove", 1), ("sand", .7), ("glue", .6), ("screw", .9), ("paint", .8), ("show", .6))),
    "roses": Activity("garden",
                      {"plant": ("rose", "tree", "bush"), "bed": _BEDS},
                      (("prune", .7), ("dig", 1), ("plant", 1), ("cover", .8), ("water", .9))),
    "herbs": Activity("garden",
                      {"plant": ("parsley", "lettuce", "bean"), "bed": _BEDS, "fruit": ("herbs", "leaves")},
                      (("weed", .7), ("rake", .8), ("sow", 1), ("cover", .6), ("water", 1), ("pick", .4))),
    "apple": Activity("garden",
                      {"plant": ("tree", "bush"), "bed": _BEDS, "fruit": ("apples", "pears", "berries")},
                      (("pick", 1), ("prune", 1), ("rake", .7), ("water", .7), ("weed", .4))),
}

# Speech that fits any activity.
FILLERS = ("hello and welcome", "okay what is next", "let me show you", "this is my favourite part",
           "thanks for watching", "almost done")
