"""Given names, sorted, as people keep them in a list; written down for makers.py."""

NAMES = sorted(
    set(
        """
aaron abel abigail abraham ada adah adalina adam adela adelaide adele adeline adrian adriana agatha
agnes aidan aileen aimee alan alana alastair albert alberta aldo alec alejandra alejandro alena
alessandra alessio alex alexander alexandra alexis alfonso alfred alfreda alice alicia alina alisa
alison alistair allan allegra alma almira alonso alva alvin alyssa amabel amalia amanda amara amber
ambrose amelia amina amos amy ana anabel anastasia anders andre andrea andreas andrew anette angel
angela angelica angelina angus anika anita anna annabel annalise anne annette annika anselm anthony
antoine anton antonia antonio anya april arabella archer archibald ariadne ariana ariel arlene arlo
armand arnold arthur arvid asa asher ashley astrid athena aubrey audrey august augusta aurelia aurora
austin autumn ava avery axel aylin barbara barnaby barry bartholomew basil bastian beata beatrice
beatrix becky belinda bella ben benedict benjamin benno bernadette bernard bertha bertram beryl bessie
beth bethany betty beverly bianca bill birgit blair blake blanche bobby bonnie boris bradley brandon
brenda brendan brett brian briana bridget britta brock bronwen bruce bruno bryan bryce caitlin caleb
calista calvin cameron camilla camille candace cara carina carl carla carlo carlos carlotta carmen carol
carolina caroline carolyn carter casper cassandra cassidy catalina catherine cathleen cecil cecilia
cedric celeste celia celina cesar chad chandra chantal charity charlene charles charlotte chase chelsea
cheryl chester chiara chloe christa christian christiane christina christine christopher ciara claire
clara clarence clarice clarissa clark claude claudia clement clementine clifford clifton clive clyde
colette colin colleen conrad constance cora coral corbin cordelia corinna corinne cornelia cornelius
cory cosima craig crispin crystal curtis cynthia cyril cyrus daisy dale damian dana daniel daniela
danielle danny daphne daria darius darlene darren david dawn dean deborah deirdre delia delilah della
delphine demi denise dennis derek desmond dexter diana diane diego dieter dina dinah dirk dolores
dominic dominique donald donna dora doreen doris dorothea dorothy douglas duncan dustin dwight dylan
earl ebba eda edgar edith edmund edna edward edwin effie eileen elaine eldon eleanor elena eleonora eli
elias elijah elina elinor elisa elisabeth elise eliza elizabeth ella ellen elliot elmer eloise elsa
elsie elvira elwood emanuel emerson emery emil emilia emiliano emily emma emmett enid enoch enrico
enrique eric erica erin ernest ernestine erwin esme esmeralda esteban estella esther ethan ethel etta
eugene eugenia eunice eva evan evangeline eve evelyn everett ezra fabian fabio faith fanny fatima faye
felicia felicity felix fergus fernando fidel finn fiona fletcher flora florence florian floyd frances
francesca francis francisco frank franklin franziska fred frederica frederick freya frida fritz gabriel
gabriela gabrielle gail gareth garrett gavin gemma gene genevieve geoffrey george georgia georgina
gerald geraldine gerard gerda gertrude gideon gilbert gilda gillian gina giovanni gisela giselle gladys
glen glenda gloria godfrey gordon grace graham grant greta gretchen griffin guido guinevere gunther
gustav guy gwen gwendolyn hadley hagen hamish hanna hannah hannes hans harald harley harold harriet
harrison harry harvey hattie hazel heather hector hedwig heidi helen helena helga henrietta henrik henry
herbert herman hermine hester hilda hilary hiram holger holly homer honora hope horace hortense howard
hubert hudson hugh hugo humphrey ian ida ignatius igor ilona ilse imogen ina india ines inga ingmar
ingrid ira irene iris irma irving isaac isabel isabella isadora isaiah ismael israel ivan ivo ivy jack
jackson jacob jacqueline jade jaime jake jamal james jamie jan jana jane janet janice jared jarvis
jasmine jason jasper javier jay jean jeanette jeffrey jemima jennifer jenny jeremiah jeremy jerome jesse
jessica jill joan joanna joaquin jocelyn joel johan johanna john jolene jonah jonas jonathan jordan
jorge joseph josephine joshua josiah joy joyce juan juanita judith judy jules julia julian juliana
julianne julie juliet julio julius june jürgen justin justine kai kara karen karina karl karla karsten
kaspar katarina kate katharina katherine kathleen kathryn katja katrina kay keith kelly kelvin kendra
kenneth kerstin kevin kilian kimberly kira kirsten klara klaus konrad kristian kristin kurt kyle kyra
lambert lana lance lara larissa lars laura laurel lauren laurence lavinia lawrence lea leah leander
leila lelia lena lenora leo leon leona leonard leonie leonora leopold leroy leslie lester leticia levi
lewis liam lidia lila lilian liliana lillian lily lina linda linnea linus lionel lisa lisette liza lloyd
logan lois lola lorena lorenzo loretta lorna lorraine lothar lottie louis louisa louise lucas lucia
lucian lucille lucinda lucy ludwig luigi luis luisa luke luna luther lydia lyle lynn mabel mabelle
mackenzie madeleine madeline mae magda magdalena maggie magnus maia malcolm malina malte malvina mandy
manfred manuel manuela mara marcel marcella marcia marco marcus margaret margarita margot maria mariah
marian mariana marianne marie mariella marietta marilyn marina mario marion marisa marissa marius
marjorie mark marlene marlon marsha marshall martha martin martina marvin mary mason mathilda matilda
matthew matthias maud maura maureen maurice mavis max maxim maximilian maxine may maya megan melanie
melba melinda melissa melody melvin mercedes meredith merle mia micah michael michaela michelle miguel
mildred miles milena millicent millie milo milton mina minerva minna mira miranda miriam moira mollie
molly mona monica monique monroe morgan moritz morris moses muriel myra myron myrtle nadia nadine nancy
naomi natalia natalie natasha nathan nathaniel neal ned nell nellie nelson nestor neville nicholas nico
nicola nicole nigel nikolai nina noah noel noelle nolan nora norbert noreen norma norman nova octavia
odette olaf olga olive oliver olivia ophelia orlando oscar osmund oswald otis otto owen pablo paige
paloma pamela pandora pascal patience patricia patrick paul paula pauline pearl pedro peggy penelope
penny percival percy perry petra philip philippa phoebe phyllis pierre piper polly portia preston
priscilla prudence quentin quincy rachel rafael ralph ramona ramon randall raoul raphael raquel rasmus
raul ray raymond rebecca regina reginald reinhold remy rené renata renee reuben rhea rhoda rhys ricarda
ricardo richard rita robert roberta robin roderick rodney roger roland rolf roman romeo ronald rory rosa
rosalie rosalind rosamund rosanna rose rosemary rosie ross rowan rowena roxanne roy ruben ruby rudolf
rudy rufus rupert russell ruth ryan sabine sabrina sadie sally salome salvador sam samantha samson
samuel sandra sara sarah saskia saul savannah scarlett scott sean sebastian selena selina selma serena
sergio seth seymour shane shannon sharon shawn sheila shelby sheldon shirley sibyl sidney siegfried
sienna sigmund sigrid silas silvia simon simone sofia solomon sonia sophia sophie spencer stacy stanley
stefan stefanie stella stephanie stephen stewart stuart summer susan susanna suzanne sven svenja sybil
sylvester sylvia tabitha talia tamara tammy tanya tara tate tatiana teresa terrence tessa thaddeus thea
theo theodora theodore theresa therese thomas thora tiffany till timothy tina tobias todd tom toni
travis trevor tricia tristan trudy tyler ulrich ulrike una ursula valentin valentina valerie vanessa
vaughn vera verena vernon veronica victor victoria vincent viola violet virgil virginia vivian viviana
wallace walter wanda warren wayne wendy wesley wilbur wilfred wilhelm wilhelmina willa willard william
willis wilma winifred winona winston wolfgang wyatt xavier ximena yasmin yolanda yvette yvonne zachary
zelda zelma zoe zora
""".split()
    )
)
