//! Fragments of words that source text is full of, which pairs of bytes do not show.

use super::placement::{HASHES, WINDOW, hash};

/// Four bytes that occur more than forty times in a megabyte of text and code: measured over nine public source trees.
const FRAGMENTS: &[u8] = b"\
    .Con .Err .Str .add .com .con .get .htm .org .pro .set .sta .uti //do //gi /cod /con /doc /git 0000 ://d ://g ://w Acce \
    Acco Acti Appl Attr Auth Base Buil Byte Cert Chan Clie Clus Code Coll Comm Comp Conf Conn Cons Cont Crea Data Defa Dele \
    Desc Endp Equa Erro Even Exam Exce Exec Exte Fals Fiel File Foun From Gene Grou HTTP Hand Hash Iden Info Inpu Inst Inte \
    Inva Lice List Mana Mess Meta Mode Name Node Obje Open Oper Opti Outp Para Part Path Poli Proc Prop Prot Prov Reco Regi \
    Requ Reso Resp Resu Retu Sche Serv Sign Size Sour Spec Star Stat Stor Stre Stri Syst TION Tabl Tags Task Test This Thro \
    Time Toke Tran True Type Upda User Vali Valu Vers With Work _cha _con _key _nam _pat _pro _res _tok _typ _url _ver abas \
    abel abil able abou acce acco ache acka acke acti adat addi addr ader afte age. ager ages agin aila aile ails aine ains \
    aint alSt alid aliz alle allo ally alse alue ame: ames amet ampl anag ance andl ange anne anno apac api. appe appl apsh \
    aram arch arge args arse arti ase_ ases asse assi asso atab atch ate. ateC ateE ateS ate_ ated ateg ates atic atin atio \
    ativ ator atte attr atur atus ault ause auth auto avai b.co back base bers bili bjec bled blic bloc bool bout bscr buil \
    bute byte cach call case cate cati ccep cces ccou cens cept cert cess chan che. chec ched chem ciat cifi ckag cker cket \
    clas clea clie clou clud clus code codi coll com/ comm comp cond conf conn cons cont conv cope copy cord core coun cove \
    crea cret crib crip cryp cted ctio ctiv ctor ctur cume curi curr cust cuti cycl data date dati ddit ddre deco defa defi \
    dele dent der. ders desc deta dica ding dire disa dist diti dler docs docu does down dpoi dres duct dule e.co eCon eDat \
    eExc eNam ePro eRes eSta e_re each eade earc ease eate eatu ecif econ ecor ecre ect. ecte ecti ecto ecur ecut eden efau \
    efer efin efix efor egat eger egio egis egra eith elea elec elet elf. elop else embe emen emor emov empl empt enab ence \
    enco ency ende endp ener engt ense ensi ent. entS ent_ enta ente enti entr ents envi eout epen eplo epor epre epti equa \
    eque equi eral erat ered eren erfo eria erif ermi erna erro ers. ers: ersi erti erty erve ervi escr esen eser eset esol \
    esou espa espo essa esse essi est- est. est/ estC estU est_ esta esti ests esul etad etai eter etho etri etry etti etur \
    etwo evel even ever exam exce exec exis expe ext. exte extr face fail fals faul fere ffer fica fied fiel fier fig. figu \
    file filt fina fine fini firs flow fmt. foll fore form from fter func gate gene gent ger. gest gger gina ging gion gist \
    gith gned grat grou gume gura gure hand hang hann hape hare have head heck hema here hich hing his. hori host houl html \
    http hub. iali iate ibut ical icat icen ices idat iden ider ield ient ific ifie ight igin igne igur ilab ilde ile_ iled \
    iles ilit ils. ilte imag ime. imeo imes imit impl impo inal inat incl inde indi indo ined iner ines info ing. ing: ing_ \
    ings init inpu inst inte ints ion. ion: ionC ionD ionE ionI ionR ionS ionT ion_ iona ions ipti irec ired iron irst isab \
    issi iste isti istr ists iter ithe ithu itia itio itle itor itte ivat iver izat ized ject json kage keys king know lSta \
    labe labl lace lang lass last late lati lder le.c lean leas lect lega leme leng less lete lias lica lice licy lida lien \
    limi line ling link list lity lize llec lled ller llow load loca lock long loud lter ltip lude lues lugi lume lust mage \
    mail main make mana mand mark mary matc mati mber memb ment meou mesp mess mest meta mete meth metr miss mman mmar mmen \
    mode more mory move mpla mple mpli mpor mpty mult must n.co nCon nExc nabl nage naly name naps nati nclu ncod ncry ncti \
    nder ndex ndin ndit ndle ndpo nect need nera ners netw next nfig nfor ngth ning niti nito nmen nnec nnel nnot node nput \
    nse. nsio nsta nstr ntai ntat nteg nten nter ntex ntia ntic ntif ntim ntin ntit ntro ntry nts. null numb nval nver nvir \
    obje ocal ocat oces ocia ocke ocol ocs. ocum odel odes odif odin oduc odul ofil ogge ogle oint ojec oken olea olic olle \
    ollo olum olve omai omma omme ompa ompl ompo on.c onCo onEx onRe onal once ondi onfi onit only onme onne ons. onse onst \
    onta onte ontr onve oogl oole open oper opic opti opyr orag orat orde org/ orig orit orma ors. orte osit othe otoc ould \
    ound ount ourc oute outp over ovid p:// pace pach pack para pare pars part pass path pdat peci pect pend pera perf perm \
    pers pert ping plac plat plem plet plic plie ploy poin poli pons port posi post ppen ppli ppor prec pref pres prev prin \
    priv proc prod proj prop prot prov ps:/ psho ptio publ pyri qual quen quer ques quir rExc race ract rage rain rame rams \
    rang rans rate rati rato rces rder read ream reat reco rect rede refe refi regi rele remo renc rent repl repo repr requ \
    rese reso resp ress rest resu retr retu revi rfor rget rgum rial ribe ribu ries rify righ rigi ring rint ript rite rity \
    riva rive rker rmat rmis rnal rned rnin roce rodu rofi roje roll ronm rope rors roto roup rout rovi rows rray rren rror \
    rsio rted rtie rtif rtit ruct rule rver rvic rypt s.co s.ge s:// sabl sage same sche scri sear seco secr secu self send \
    sent seri sert serv ses/ sess sets shap shar shot shou sign sing sion siti size soci solv sour spac spec spon ssag sser \
    sses ssig ssin ssio ssoc ssue stac stam stan star stat sted stem sten ster stin stom stor stra stre stri stru subs sult \
    supp sure sync syst tCon tExc tNam tRes taba tabl tach tack tada tags tail tain tamp tanc tant targ tart task tate tati \
    tatu tche tect ted. ted_ tege tegr temp tent ter. ter_ tera tern ters tes. test text that then ther thin this thod thor \
    thro thub tial tica ties tifi time ting tion titi titl tity tive toco toke topi tor. tora tore tors tory tp:/ tps: tput \
    trac trai tran trat trea trib tric trie trin trol truc true ttac tter ttin ttp: ttps ttri tual ture turn twor type uals \
    ub.c ubli ubsc ucke uctu uery uest ueue uffe ugin uide uild uire ult_ ulti ults umbe umen umma unct unde unit unti upda \
    uppo urat urce ured ures urit urne urns urre used user usin uste usto uted utes uthe utho util utio utpu vail vali valu \
    vate velo vent veri vers vert very vice vide view viro wait ware when whic will wing with wner word work writ www. xamp \
    xcep xecu xist xpec xpre xten xtra ycle your ype: ypes yrig yste ytes zati";

/// A bit for the hash of each fragment.
static BITS: [u64; HASHES / 64] = {
    let mut bits = [0; HASHES / 64];
    let mut at = 0;
    while at < FRAGMENTS.len() {
        let hash = hash([FRAGMENTS[at], FRAGMENTS[at + 1], FRAGMENTS[at + 2], FRAGMENTS[at + 3]]);
        bits[hash / 64] |= 1 << (hash % 64);
        at += WINDOW + 1;
    }
    bits
};

/// True if `window` is such a fragment; one other in fifty is taken for one, too.
pub(super) fn is_fragment(window: &[u8]) -> bool {
    let hash = window.try_into().map(hash);
    hash.is_ok_and(|hash| BITS[hash / 64] >> (hash % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_known() {
        assert!(FRAGMENTS.chunks(WINDOW + 1).all(|chunk| is_fragment(&chunk[..WINDOW])));
        assert!(FRAGMENTS.chunks(WINDOW + 1).all(|chunk| chunk.get(WINDOW).is_none_or(|end| *end == b' ')));
        assert!([&b"AKIA"[..], b"cePa", b"ghp_", b"tio", b"functi"].iter().all(|other| !is_fragment(other)));
    }
}
