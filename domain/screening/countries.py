"""The ISO code of a country, from the code or the English name that a list has."""

import re
from functools import lru_cache
from typing import Final

_TABLE: Final = (
    "ad andorra=principality of andorra; ae united arab emirates; af afghanistan=islamic republic of afghanistan; ag "
    "antigua and barbuda; ai anguilla; al albania=republic of albania; am armenia=republic of armenia; ao "
    "angola=republic of angola; aq antarctica; ar argentina=argentine republic; as american samoa; at "
    "austria=republic of austria; au australia; aw aruba; ax aland islands; az azerbaijan=republic of azerbaijan; ba "
    "bosnia and herzegovina=republic of bosnia and herzegovina; bb barbados; bd bangladesh=people's republic of "
    "bangladesh; be belgium=kingdom of belgium; bf burkina faso; bg bulgaria=republic of bulgaria; bh bahrain=kingdom "
    "of bahrain; bi burundi=republic of burundi; bj benin=republic of benin; bl saint barthelemy; bm bermuda; bn "
    "brunei darussalam; bo bolivia=plurinational state of bolivia; bq sint eustatius and saba bonaire; br "
    "brazil=federative republic of brazil; bs bahamas=commonwealth of the bahamas; bt bhutan=kingdom of bhutan; bv "
    "bouvet island; bw botswana=republic of botswana; by belarus=republic of belarus; bz belize; ca canada; cc cocos "
    "(keeling) islands; cd democratic republic of the congo; cf central african republic; cg congo=republic of the "
    "congo; ch switzerland=swiss confederation; ci cote d'ivoire=republic of cote d'ivoire=ivory coast; ck cook "
    "islands; cl chile=republic of chile; cm cameroon=republic of cameroon; cn china=people's republic of china; co "
    "colombia=republic of colombia; cr costa rica=republic of costa rica; cu cuba=republic of cuba; cv cabo "
    "verde=republic of cabo verde=cape verde; cw curacao; cx christmas island; cy cyprus=republic of cyprus; cz "
    "czechia=czech republic; de germany=federal republic of germany; dj djibouti=republic of djibouti; dk "
    "denmark=kingdom of denmark; dm dominica=commonwealth of dominica; do dominican republic; dz algeria=people's "
    "democratic republic of algeria; ec ecuador=republic of ecuador; ee estonia=republic of estonia; eg egypt=arab "
    "republic of egypt; eh western sahara; er eritrea=state of eritrea; es spain=kingdom of spain; et "
    "ethiopia=federal democratic republic of ethiopia; fi finland=republic of finland; fj fiji=republic of fiji; fk "
    "falkland islands (malvinas); fm federated states of micronesia; fo faroe islands; fr france=french republic; ga "
    "gabon=gabonese republic; gb united kingdom=united kingdom of great britain and northern ireland=uk=great "
    "britain; gd grenada; ge georgia; gf french guiana; gg guernsey; gh ghana=republic of ghana; gi gibraltar; gl "
    "greenland; gm gambia=republic of the gambia; gn guinea=republic of guinea; gp guadeloupe; gq equatorial "
    "guinea=republic of equatorial guinea; gr greece=hellenic republic; gs south georgia and the south sandwich "
    "islands; gt guatemala=republic of guatemala; gu guam; gw guinea-bissau=republic of guinea-bissau; gy "
    "guyana=republic of guyana; hk hong kong=hong kong special administrative region of china; hm heard island and "
    "mcdonald islands; hn honduras=republic of honduras; hr croatia=republic of croatia; ht haiti=republic of haiti; "
    "hu hungary; id indonesia=republic of indonesia; ie ireland; il israel=state of israel; im isle of man; in "
    "india=republic of india; io british indian ocean territory; iq iraq=republic of iraq; ir iran=islamic republic "
    "of iran; is iceland=republic of iceland; it italy=italian republic; je jersey; jm jamaica; jo jordan=hashemite "
    "kingdom of jordan; jp japan; ke kenya=republic of kenya; kg kyrgyzstan=kyrgyz republic; kh cambodia=kingdom of "
    "cambodia; ki kiribati=republic of kiribati; km comoros=union of the comoros; kn saint kitts and nevis; kp north "
    "korea=democratic people's republic of korea=dprk; kr south korea=republic of korea; kw kuwait=state of kuwait; "
    "ky cayman islands; kz kazakhstan=republic of kazakhstan; la laos=lao people's democratic republic; lb "
    "lebanon=lebanese republic; lc saint lucia; li liechtenstein=principality of liechtenstein; lk sri "
    "lanka=democratic socialist republic of sri lanka; lr liberia=republic of liberia; ls lesotho=kingdom of lesotho; "
    "lt lithuania=republic of lithuania; lu luxembourg=grand duchy of luxembourg; lv latvia=republic of latvia; ly "
    "libya; ma morocco=kingdom of morocco; mc monaco=principality of monaco; md moldova=republic of moldova; me "
    "montenegro; mf saint martin (french part); mg madagascar=republic of madagascar; mh marshall islands=republic of "
    "the marshall islands; mk north macedonia=republic of north macedonia=macedonia; ml mali=republic of mali; mm "
    "myanmar=republic of myanmar=burma; mn mongolia; mo macao=macao special administrative region of china; mp "
    "northern mariana islands=commonwealth of the northern mariana islands; mq martinique; mr mauritania=islamic "
    "republic of mauritania; ms montserrat; mt malta=republic of malta; mu mauritius=republic of mauritius; mv "
    "maldives=republic of maldives; mw malawi=republic of malawi; mx mexico=united mexican states; my malaysia; mz "
    "mozambique=republic of mozambique; na namibia=republic of namibia; nc new caledonia; ne niger=republic of the "
    "niger; nf norfolk island; ng nigeria=federal republic of nigeria; ni nicaragua=republic of nicaragua; nl "
    "netherlands=kingdom of the netherlands; no norway=kingdom of norway; np nepal=federal democratic republic of "
    "nepal; nr nauru=republic of nauru; nu niue; nz new zealand; om oman=sultanate of oman; pa panama=republic of "
    "panama; pe peru=republic of peru; pf french polynesia; pg papua new guinea=independent state of papua new "
    "guinea; ph philippines=republic of the philippines; pk pakistan=islamic republic of pakistan; pl poland=republic "
    "of poland; pm saint pierre and miquelon; pn pitcairn; pr puerto rico; ps state of palestine=palestine; pt "
    "portugal=portuguese republic; pw palau=republic of palau; py paraguay=republic of paraguay; qa qatar=state of "
    "qatar; re reunion; ro romania; rs serbia=republic of serbia; ru russian federation=russia; rw rwanda=rwandese "
    "republic; sa saudi arabia=kingdom of saudi arabia; sb solomon islands; sc seychelles=republic of seychelles; sd "
    "sudan=republic of the sudan; se sweden=kingdom of sweden; sg singapore=republic of singapore; sh ascension and "
    "tristan da cunha saint helena; si slovenia=republic of slovenia; sj svalbard and jan mayen; sk slovakia=slovak "
    "republic; sl sierra leone=republic of sierra leone; sm san marino=republic of san marino; sn senegal=republic of "
    "senegal; so somalia=federal republic of somalia; sr suriname=republic of suriname; ss south sudan=republic of "
    "south sudan; st sao tome and principe=democratic republic of sao tome and principe; sv el salvador=republic of "
    "el salvador; sx sint maarten (dutch part); sy syria=syrian arab republic; sz eswatini=kingdom of "
    "eswatini=swaziland; tc turks and caicos islands; td chad=republic of chad; tf french southern territories; tg "
    "togo=togolese republic; th thailand=kingdom of thailand; tj tajikistan=republic of tajikistan; tk tokelau; tl "
    "timor-leste=democratic republic of timor-leste; tm turkmenistan; tn tunisia=republic of tunisia; to "
    "tonga=kingdom of tonga; tr turkiye=republic of turkiye=turkey; tt trinidad and tobago=republic of trinidad and "
    "tobago; tv tuvalu; tw taiwan=province of china taiwan; tz tanzania=united republic of tanzania; ua ukraine; ug "
    "uganda=republic of uganda; um united states minor outlying islands; us united states=united states of "
    "america=usa; uy uruguay=eastern republic of uruguay; uz uzbekistan=republic of uzbekistan; va holy see (vatican "
    "city state)=vatican; vc saint vincent and the grenadines; ve venezuela=bolivarian republic of venezuela; vg "
    "british virgin islands; vi u.s. virgin islands=virgin islands of the united states; vn vietnam=viet "
    "nam=socialist republic of viet nam; vu vanuatu=republic of vanuatu; wf wallis and futuna; ws samoa=independent "
    "state of samoa; ye yemen=republic of yemen; yt mayotte; za south africa=republic of south africa; zm "
    "zambia=republic of zambia; zw zimbabwe=republic of zimbabwe"
)
_LETTERS: Final = re.compile("[a-z]+")
_BY_NAME: Final = {
    " ".join(sorted(_LETTERS.findall(name))): row[:2] for row in _TABLE.split("; ") for name in row[3:].split("=")
}
_CODES: Final = frozenset(_BY_NAME.values())


@lru_cache(maxsize=2_000)
def code_of(country: str) -> str:
    """Returns the ISO code in small letters; "" for what is no country here. Words may have any order."""
    words = " ".join(sorted(word for word in _LETTERS.findall(country.casefold()) if word != "the"))
    return words if words in _CODES else _BY_NAME.get(words, "")
